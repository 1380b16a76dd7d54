import fs from "node:fs";
import path from "node:path";
import { UsageError } from "../../support/usage-error.js";

/** How far a run has come. */
export interface Progress {
  readonly soak: string;
  readonly seed: number;
  /** The first step that has not been taken. */
  readonly next: number;
  readonly failures: number;
  /** Time spent in all runs so far. */
  readonly seconds: number;
}

/** One failing step, complete enough to run it again without the generator that made it. */
export interface FailingInput {
  readonly soak: string;
  readonly seed: number;
  readonly step: number;
  readonly error: string;
  readonly input: unknown;
  /** The inputs of the steps before it on the same stage, oldest first, for a failure that took more than one. */
  readonly before: readonly unknown[];
}

/** The directory in which a soak keeps its progress and its failing inputs. */
export interface Corpus {
  /** The progress of an earlier run; undefined when there was none. */
  progress(): Progress | undefined;
  save(progress: Progress): void;
  /** @returns the file */
  keep(failing: FailingInput): string;
}

function readJson(file: string): unknown {
  try {
    return JSON.parse(fs.readFileSync(file, "utf8"));
  } catch (error) {
    throw new UsageError(`${file} can't be read: ${(error as Error).message}`);
  }
}

/** Written whole or not at all: an interrupted run must be able to resume. */
function writeJson(file: string, value: unknown): void {
  const temporary = `${file}.tmp`;
  fs.writeFileSync(temporary, `${JSON.stringify(value, undefined, 2)}\n`);
  fs.renameSync(temporary, file);
}

export function openCorpus(directory: string): Corpus {
  const file = path.join(directory, "progress.json");
  return {
    progress: () => (fs.existsSync(file) ? (readJson(file) as Progress) : undefined),
    save(progress) {
      fs.mkdirSync(directory, { recursive: true });
      writeJson(file, progress);
    },
    keep(failing) {
      fs.mkdirSync(directory, { recursive: true });
      const kept = path.join(directory, `failure-${failing.seed}-${failing.step}.json`);
      writeJson(kept, failing);
      return kept;
    },
  };
}

/** @throws UsageError when the file is no failing input of this soak */
export function readFailing(soak: string, file: string): FailingInput {
  const value = readJson(file) as Partial<FailingInput> | null;
  if (typeof value !== "object" || value === null || value.soak !== soak || value.input === undefined) {
    throw new UsageError(`${file} holds no input of soak:${soak}: its field "soak" has to be "${soak}"`);
  }
  const { seed = 0, step = 0, error = "", input, before = [] } = value;
  return { soak, seed, step, error, input, before };
}
