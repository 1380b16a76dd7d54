import { versionText, wantsDetails } from "./version.js";

interface Absent {
  readonly name: string;
  /** What the program does in Kubernetes mode: a clause that follows its name. */
  readonly does: string;
}

/**
 * Stands in for a program of Kubernetes mode, which this version does not have yet: it says so, and supports `-h` and
 * `version` like every other program.
 */
export function absentProgram({ name, does }: Absent): (args: readonly string[]) => Promise<number> {
  const notice = `${name} ${does}. It belongs to Kubernetes mode, which this version does not include yet.`;
  const usage = `${notice}\n\nUsage:\n  ${name} version [-a|--detailed]\n  ${name} -h|--help\n`;
  return async (args) => {
    const [word, ...rest] = args;
    if (word === "help" || args.some((arg) => arg === "-h" || arg === "--help")) {
      process.stdout.write(usage);
      return 0;
    }
    if (word !== "version") {
      process.stderr.write(`Error: ${notice}\n`);
      return 1;
    }
    const details = wantsDetails(rest);
    if (details === undefined) {
      process.stderr.write(`Error: version takes only -a, --detailed\n`);
      return 1;
    }
    process.stdout.write(`${versionText(details)}\n`);
    return 0;
  };
}
