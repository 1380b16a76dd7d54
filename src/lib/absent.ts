import { versionText, wantsDetails } from "./version.js";

interface Absent {
  readonly name: string;
  /** What the program does where it exists: a clause that follows its name. */
  readonly does: string;
}

/**
 * The whole of a program that belongs to Kubernetes mode, until this version has that mode: it says so
 * instead of pretending, and answers `-h` and `version` like every other program.
 */
export function absentProgram({ name, does }: Absent): (args: readonly string[]) => Promise<number> {
  const notice = `${name} ${does}. It belongs to Kubernetes mode, which this version does not include yet.`;
  const usage = `${notice}\n\nUsage:\n  ${name} version [-a|--detailed]\n  ${name} -h|--help\n`;
  return async ([word, ...rest]) => {
    if (word === "-h" || word === "--help" || word === "help") {
      process.stdout.write(usage);
      return 0;
    }
    const details = word === "version" ? wantsDetails(rest) : undefined;
    if (details !== undefined) {
      process.stdout.write(`${versionText(details)}\n`);
      return 0;
    }
    if (word === "version" && (rest.includes("-h") || rest.includes("--help"))) {
      process.stdout.write(usage);
      return 0;
    }
    process.stderr.write(word === "version" ? `Error: version takes only -a, --detailed\n` : `Error: ${notice}\n`);
    return 1;
  };
}
