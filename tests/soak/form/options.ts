import path from "node:path";
import { parseArgs } from "node:util";
import { UsageError } from "../../support/usage-error.js";

/** When a run ends: after this many steps in all, or after this many minutes of this run; the first of the two. */
export interface Extent {
  readonly count?: number;
  readonly minutes?: number;
}

/** What a run of a soak was asked to do. */
export interface SoakOptions extends Extent {
  /** Drawn at random when left out. */
  readonly seed?: number;
  /** Directory that keeps progress and failing inputs. */
  readonly corpus: string;
  /** Continues the run that the corpus holds. */
  readonly resume: boolean;
  /** Runs this step of the seed and no other. */
  readonly only?: number;
  /** Runs the input in this file. */
  readonly replay?: string;
}

/** How a soak of this name is called. */
export const usage = (name: string) =>
  `npm run soak:${name} -- [--seed S] [--count N] [--minutes M] [--corpus DIR] [--resume] [--only K] [--replay FILE]`;

/** The corpus that a soak uses unless it is given another. */
export const defaultCorpus = (name: string) => path.join("dist", "soak", name);

/** @throws UsageError for an unknown option, a value of the wrong form, or options that contradict each other */
export function readOptions(name: string, args: readonly string[]): SoakOptions {
  const invalid = (message: string) => new UsageError(`${message}; usage: ${usage(name)}`);
  const text = { type: "string" } as const;

  function parse() {
    try {
      return parseArgs({
        args: [...args],
        options: {
          seed: text,
          count: text,
          minutes: text,
          corpus: text,
          only: text,
          replay: text,
          resume: { type: "boolean", default: false },
        },
      }).values;
    } catch (error) {
      throw invalid((error as Error).message);
    }
  }

  const values = parse();

  function whole(option: "seed" | "count" | "only", least: number, most: number): { [key in typeof option]?: number } {
    const value = values[option];
    if (value === undefined) return {};
    const number = Number(value);
    if (!/^\d+$/.test(value) || number < least || number > most) {
      throw invalid(`--${option} is "${value}", but has to be a whole number from ${least} to ${most}`);
    }
    return { [option]: number };
  }

  function minutes(): { minutes?: number } {
    if (values.minutes === undefined) return {};
    const number = Number(values.minutes);
    if (!/^\d+(\.\d+)?$/.test(values.minutes) || number <= 0) {
      throw invalid(`--minutes is "${values.minutes}", but has to be a number above 0`);
    }
    return { minutes: number };
  }

  if (values.only !== undefined && values.seed === undefined) throw invalid("--only needs the --seed of its step");
  const modes = (["resume", "only", "replay"] as const).filter((mode) => values[mode] !== undefined && values[mode]);
  if (modes.length > 1) throw invalid(`--${modes[0]} and --${modes[1]} can't be combined`);
  return {
    ...whole("seed", 0, 2 ** 32 - 1),
    ...whole("count", 1, Number.MAX_SAFE_INTEGER),
    ...whole("only", 0, Number.MAX_SAFE_INTEGER),
    ...minutes(),
    ...(values.replay === undefined ? {} : { replay: values.replay }),
    corpus: values.corpus ?? defaultCorpus(name),
    resume: values.resume,
  };
}
