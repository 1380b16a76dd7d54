import { messageOf } from "../../../src/lib/errors.js";
import { seeded } from "../../support/random.js";
import { UsageError } from "../../support/usage-error.js";
import { openCorpus, type Progress, readFailing } from "./corpus.js";
import { type Extent, readOptions, type SoakOptions } from "./options.js";

export type Random = ReturnType<typeof seeded>;

/** Figures of a run, by their names, in the order in which they are printed. */
export type Figures = Readonly<Record<string, string | number>>;

/** What the steps of a soak run against: processes, connections, temporary files. */
export interface Stage<Input> {
  /** Runs one input. @throws when something that must hold does not */
  step(input: Input, number: number): Promise<void>;
  /** Checks what must hold once the load is gone. Called after the last step, and before `close`. */
  settle(): Promise<void>;
  /** Releases everything, also after a failure. */
  close(): Promise<void>;
}

/** A long check: inputs made from a seed, and a stage that they run against. */
export interface Soak<Input> {
  /** As in `npm run soak:NAME`. */
  readonly name: string;
  /** The default duration of a run. */
  readonly extent: Extent;
  /** Makes the input of a step from nothing but its random numbers, as JSON: a failing one is written to a file. */
  input(random: Random, number: number): Input;
  open(say: (line: string) => void): Promise<Stage<Input>>;
  /** Figures over all stages of the run, for its summary. */
  figures(): Figures;
}

export interface Outcome {
  readonly seed: number;
  /** Steps taken in this run. */
  readonly steps: number;
  /** One message a failure. */
  readonly failures: readonly string[];
  readonly interrupted: boolean;
}

/** A broken build fails every step: reading ten reports says as much as a thousand. */
const mostFailures = 10;
const keptBefore = 8;

/** The random numbers of one step, which depend on no other step. */
export const stepRandom = (seed: number, step: number): Random => seeded(Math.imul(seed ^ 0x9e3779b9, 2 * step + 1));

interface Plan<Input> {
  readonly seed: number;
  readonly first: number;
  /** The step at which the run ends. */
  readonly end: number;
  readonly deadline: number;
  readonly input: (step: number) => Input;
  readonly save: (done: Omit<Progress, "soak" | "seed">) => void;
  readonly spent: number;
  readonly failed: number;
  /** This many failures end the run. */
  readonly patience: number;
}

function planOf<Input>(soak: Soak<Input>, options: SoakOptions, start: number): Plan<Input> {
  const corpus = openCorpus(options.corpus);
  const generated = (seed: number) => (step: number) => soak.input(stepRandom(seed, step), step);
  const alone = { deadline: Number.POSITIVE_INFINITY, save: () => {}, spent: 0, failed: 0, patience: 1 };
  if (options.replay !== undefined) {
    const { seed, step, input, before } = readFailing(soak.name, options.replay);
    // By itself first; what took the steps before it fails at the second time.
    const inputs = [input, ...before, input] as Input[];
    const end = before.length === 0 ? 1 : inputs.length;
    return { ...alone, seed, first: step, end: step + end, input: (at) => inputs[at - step] as Input };
  }
  if (options.only !== undefined) {
    const seed = options.seed ?? 0;
    return { ...alone, seed, first: options.only, end: options.only + 1, input: generated(seed) };
  }
  const earlier = options.resume ? corpus.progress() : undefined;
  if (options.resume && earlier === undefined) {
    throw new UsageError(`${options.corpus} holds no run to resume: leave --resume out`);
  }
  if (earlier !== undefined && options.seed !== undefined && options.seed !== earlier.seed) {
    const message = `the run in ${options.corpus} has the seed ${earlier.seed}, not ${options.seed}: leave --seed out`;
    throw new UsageError(message);
  }
  const seed = earlier?.seed ?? options.seed ?? Math.floor(Math.random() * 2 ** 32);
  const extent = options.count === undefined && options.minutes === undefined ? soak.extent : options;
  const { count = Number.POSITIVE_INFINITY, minutes = Number.POSITIVE_INFINITY } = extent;
  return {
    seed,
    first: earlier?.next ?? 0,
    end: count,
    deadline: start + minutes * 60_000,
    input: generated(seed),
    save: (done) => corpus.save({ soak: soak.name, seed, ...done }),
    spent: earlier?.seconds ?? 0,
    failed: earlier?.failures ?? 0,
    patience: mostFailures,
  };
}

/** Runs a soak as its options say, and prints the seed first and a one-line summary last. */
export async function runSoak<Input>(
  soak: Soak<Input>,
  options: SoakOptions,
  { say = console.log, stopped = () => false }: { say?: (line: string) => void; stopped?: () => boolean } = {},
): Promise<Outcome> {
  const start = performance.now();
  const { seed, first, end, deadline, input, save, spent, failed, patience } = planOf(soak, options, start);
  const corpus = openCorpus(options.corpus);
  const seconds = () => (performance.now() - start) / 1000;
  say(`soak:${soak.name} --seed ${seed}, from step ${first}${Number.isFinite(end) ? ` to ${end - 1}` : ""}`);

  const failures: string[] = [];
  let stage: Stage<Input> | undefined;
  let before: Input[] = [];
  let step = first;

  async function close(): Promise<void> {
    const open = stage;
    stage = undefined;
    before = [];
    await open?.close();
  }

  async function fail(error: unknown, at: number, failing: Input): Promise<void> {
    const message = messageOf(error);
    failures.push(message);
    const kept =
      options.replay ?? corpus.keep({ soak: soak.name, seed, step: at, error: message, input: failing, before });
    say(`FAIL step ${at}: ${message}`);
    say(`  again: npm run soak:${soak.name} -- --replay ${kept}`);
    if (options.replay === undefined) say(`     or: npm run soak:${soak.name} -- --seed ${seed} --only ${at}`);
    await close();
  }

  async function attempt(at: number, body: (open: Stage<Input>) => Promise<void>, failing: Input): Promise<boolean> {
    try {
      stage ??= await soak.open(say);
      await body(stage);
      return true;
    } catch (error) {
      // Ctrl-C ends the programs under test, too: what breaks then has not failed, and is run again by --resume.
      if (!stopped()) await fail(error, at, failing);
      return false;
    }
  }

  try {
    for (; step < end && performance.now() < deadline && !stopped() && failures.length < patience; ) {
      const next = input(step);
      const at = step;
      const good = await attempt(at, (open) => open.step(next, at), next);
      if (!good && stopped()) break;
      if (good) before = [...before, next].slice(-keptBefore);
      step += 1;
      save({ next: step, failures: failed + failures.length, seconds: spent + seconds() });
    }
    const last = before.at(-1);
    if (last !== undefined && !stopped()) {
      before = before.slice(0, -1);
      await attempt(step - 1, (open) => open.settle(), last);
      save({ next: step, failures: failed + failures.length, seconds: spent + seconds() });
    }
  } finally {
    await close();
  }
  const figures = Object.entries(soak.figures()).map(([name, value]) => `${name} ${value}`);
  const counts = `${step - first} steps, ${failures.length} failed, ${seconds().toFixed(0)} s`;
  say([`soak:${soak.name} --seed ${seed}: ${counts}`, ...figures].join(", "));
  const interrupted = stopped();
  if (interrupted) say(`interrupted: npm run soak:${soak.name} -- --resume --corpus ${options.corpus} goes on`);
  return { seed, steps: step - first, failures, interrupted };
}

/** The program of a soak: exit code 0 when all held, 1 after a failure, an interruption or a wrong option. */
export async function soakMain<Input>(soak: Soak<Input>): Promise<void> {
  let stopped = false;
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.on(signal, () => {
      stopped = true;
    });
  }
  try {
    const options = readOptions(soak.name, process.argv.slice(2));
    const { failures, interrupted } = await runSoak(soak, options, { stopped: () => stopped });
    process.exitCode = failures.length > 0 || interrupted ? 1 : 0;
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(`Error: ${error.message}`);
    process.exitCode = 1;
  }
}
