import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import * as assert from "uvu/assert";
import { readOptions, type SoakOptions } from "../../soak/form/options.js";
import { runSoak, type Soak } from "../../soak/form/soak.js";
import { suite } from "../../support/suite.js";

const test = suite("the form of the long checks");

const temporary = fs.mkdtempSync(path.join(os.tmpdir(), "kuma-soak-"));
test.after(() => fs.rmSync(temporary, { recursive: true, force: true }));
let corpora = 0;
const newCorpus = () => path.join(temporary, String(corpora++));

/** A soak of random numbers that fails where `fails` says so; it remembers what it ran on each of its stages. */
function recorded(fails: (input: number, taken: readonly number[]) => boolean = () => false) {
  const stages: number[][] = [];
  const closed: boolean[] = [];
  const soak: Soak<number> = {
    name: "sample",
    extent: { count: 5 },
    input: (random) => random.below(1_000_000),
    async open() {
      const taken: number[] = [];
      const stage = stages.push(taken) - 1;
      return {
        async step(input) {
          taken.push(input);
          if (fails(input, taken)) throw new Error(`${input} is too much`);
        },
        async settle() {},
        async close() {
          closed[stage] = true;
        },
      };
    },
    figures: () => ({ stages: stages.length }),
  };
  return { soak, stages, closed, taken: () => stages.flat() };
}

const options = (words: string, corpus = newCorpus()): SoakOptions =>
  readOptions("sample", [...words.split(" ").filter(Boolean), "--corpus", corpus]);

async function run(soak: Soak<number>, given: SoakOptions, stopped = () => false) {
  const lines: string[] = [];
  const outcome = await runSoak(soak, given, { say: (line) => lines.push(line), stopped });
  return { ...outcome, lines };
}

test("an option that is unknown, malformed or contradicts another is refused with the usage", () => {
  for (const [words, message] of [
    ["--speed 3", "Unknown option '--speed'"],
    ["--seed x", '--seed is "x", but has to be a whole number from 0 to 4294967295'],
    ["--count 0", '--count is "0", but has to be a whole number from 1'],
    ["--minutes 0", '--minutes is "0", but has to be a number above 0'],
    ["--only 3", "--only needs the --seed of its step"],
    ["--resume --replay x", "--resume and --replay can't be combined"],
  ] as const) {
    assert.throws(
      () => readOptions("sample", words.split(" ")),
      (error: Error) => error.message.includes(message) && error.message.includes("npm run soak:sample"),
    );
  }
});

test("a seed always gives the same inputs, and the first line names it", async () => {
  const [one, two] = [recorded(), recorded()];
  const { lines } = await run(one.soak, options("--seed 7 --count 6"));
  await run(two.soak, options("--seed 7 --count 6"));
  assert.is(one.taken().length, 6);
  assert.equal(one.taken(), two.taken());
  assert.match(lines[0] ?? "", "--seed 7");
  assert.match(lines.at(-1) ?? "", "soak:sample --seed 7: 6 steps, 0 failed");
  assert.match(lines.at(-1) ?? "", "stages 1");
});

test("without --count and --minutes a run has the length that its soak asks for", async () => {
  const { soak, taken } = recorded();
  await run(soak, options(""));
  assert.is(taken().length, 5);
});

test("an interrupted run says how to go on, and goes on with the step that follows", async () => {
  const corpus = newCorpus();
  const whole = recorded();
  await run(whole.soak, options("--seed 3 --count 6"));
  const begun = recorded();
  const first = await run(begun.soak, options("--seed 3 --count 6", corpus), () => begun.taken().length === 2);
  assert.ok(first.interrupted);
  assert.match(first.lines.at(-1) ?? "", `npm run soak:sample -- --resume --corpus ${corpus}`);
  const resumed = recorded();
  await run(resumed.soak, options("--resume --count 6", corpus));
  assert.equal([...begun.taken(), ...resumed.taken()], whole.taken());
});

test("a step that an interruption breaks is no failure, and is taken again by --resume", async () => {
  const corpus = newCorpus();
  let interrupted = false;
  const broken = recorded((_input, taken) => {
    interrupted = taken.length === 2;
    return interrupted;
  });
  const first = await run(broken.soak, options("--seed 3 --count 4", corpus), () => interrupted);
  assert.equal(first.failures, []);
  assert.is(first.steps, 1);
  const resumed = recorded();
  await run(resumed.soak, options("--resume --count 4", corpus));
  assert.is(resumed.taken()[0], broken.taken()[1]);
});

test("a run can't be resumed when there is none, or with another seed", async () => {
  const { soak } = recorded();
  const message = async (given: SoakOptions) => run(soak, given).then(String, (error: Error) => error.message);
  assert.match(await message(options("--resume")), "holds no run to resume");
  const corpus = newCorpus();
  await run(soak, options("--seed 3", corpus));
  assert.match(await message(options("--resume --seed 4", corpus)), "has the seed 3, not 4");
});

test("a failing input is kept as a file that fails again, and the run goes on with a new stage", async () => {
  const corpus = newCorpus();
  const fails = (input: number) => input % 3 === 0;
  const failing = recorded(fails);
  const { failures, steps } = await run(failing.soak, options("--seed 5 --count 12", corpus));
  assert.is(steps, 12);
  assert.ok(failures.length > 0 && failures.length < 10, `${failures.length} failures`);
  assert.equal(
    failing.closed,
    failing.stages.map(() => true),
  );
  const files = fs.readdirSync(corpus).filter((name) => name.startsWith("failure-5-"));
  assert.is(files.length, failures.length);
  for (const name of files) {
    const again = recorded(fails);
    const replayed = await run(again.soak, options(`--replay ${path.join(corpus, name)}`));
    assert.is(replayed.failures.length, 1);
    const only = recorded(fails);
    const step = /failure-5-(\d+)/.exec(name)?.[1];
    assert.equal((await run(only.soak, options(`--seed 5 --only ${step}`))).failures, replayed.failures);
    assert.is(only.taken().length, 1);
  }
});

test("a failure that took several steps is replayed with those before it", async () => {
  const corpus = newCorpus();
  const third = (_input: number, taken: readonly number[]) => taken.length === 3;
  await run(recorded(third).soak, options("--seed 5 --count 3", corpus));
  const replayed = await run(recorded(third).soak, options(`--replay ${path.join(corpus, "failure-5-2.json")}`));
  assert.is(replayed.failures.length, 1);
});

test("what does not hold after the load is a failure of the last step", async () => {
  const { soak } = recorded();
  const settles = {
    ...soak,
    open: async () => ({
      step: async () => {},
      settle: async () => {
        throw new Error("memory stays");
      },
      close: async () => {},
    }),
  };
  const { failures, lines } = await run(settles, options("--seed 5 --count 3"));
  assert.equal(failures, ["memory stays"]);
  assert.ok(lines.some((line) => line.includes("FAIL step 2: memory stays")));
});

test("ten failures end a run", async () => {
  const { soak } = recorded(() => true);
  const { failures } = await run(soak, options("--seed 5 --count 1000"));
  assert.is(failures.length, 10);
});

test("a file of another soak is not replayed", async () => {
  const file = path.join(temporary, "other.json");
  fs.writeFileSync(file, JSON.stringify({ soak: "other", input: 1 }));
  const message = await run(recorded().soak, options(`--replay ${file}`)).then(String, (error: Error) => error.message);
  assert.match(message, 'its field "soak" has to be "sample"');
});

test.run();
