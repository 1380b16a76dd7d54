/**
 * The command line of every program. A command is a value, in a file of its own:
 *
 *     export const run = command({
 *       path: "run",
 *       summary: "Launch the control plane",
 *       flags: {
 *         configFile: text("config-file", { short: "c", help: "configuration file" }),       // string | undefined
 *         port: text("port", { help: "port", placeholder: "int", default: 8000, parse: Number }),
 *         force: toggle("force", { help: "don't ask" }),                                     // boolean
 *         tags: list("tag", { help: "filter by tag", placeholder: "key=value" }),            // string[]
 *       },
 *       args: ["NAME"],                                     // exactly these; path "" is the program itself
 *       async run({ flags, args, globals, logLevel, io }) {
 *         io.stdout.write("…\n");
 *       },
 *     });
 *
 * and the program's main.ts is
 *
 *     export function main(args: string[]): Promise<number> {
 *       return runProgram({ name: "kuma-cp", description: "…", commands: [run], logLevel: "info" }, args);
 *     }
 *
 * `-h`, `help`, `version` and `--log-level` (if `logLevel` sets its default) are added automatically. A UserError is
 * printed as its message, any other error with a request to report it, both with exit code 1. Import heavy modules
 * inside `run`, so that `version` and `-h` stay fast.
 */
import { type Command, commandTree, type Flags, type Io, type Node, type Program, text, toggle } from "./command.js";
import { type Located, locate, parseWords, unknownCommand } from "./command-line.js";
import { messageOf, UserError } from "./errors.js";
import { helpPage, usagePage } from "./help-page.js";
import { type LogLevel, parseLogLevel } from "./logger.js";
import { versionText } from "./version.js";
import { visible, visibleLines } from "./visible.js";

export { type Command, command, commandsWith, type Io, list, type Program, text, toggle } from "./command.js";

/** Whether to print colours: only to a terminal that supports them, and not if NO_COLOR is set to a non-empty value. */
export function wantsColor(stdout: { readonly isTTY?: boolean }, env: Io["env"]): boolean {
  return stdout.isTTY === true && !env.NO_COLOR && env.TERM !== "dumb";
}

/** The process's own streams and environment. */
export function processIo(): Io {
  const { stdin, stdout, stderr, env } = process;
  return { stdin, stdout, stderr, env, color: wantsColor(stdout, env) };
}

const versionCommand: Command = {
  path: "version",
  summary: "Print the version",
  flags: {
    detailed: toggle("detailed", { short: "a", help: "print the git tag, the commit and the build date as well" }),
  },
  async run({ flags, io }) {
    io.stdout.write(`${versionText(flags.detailed)}\n`);
  },
};

const helpCommand: Command = {
  path: "help",
  summary: "Help about any command",
  details: "Prints what -h or --help after the same words would print.",
  // Never runs: `help` prints the page of the command named after it.
  async run() {},
};

/** The `--log-level` flag. */
function logLevelFlag(level: LogLevel): Flags {
  const choices = ["off", "info", "debug"];
  return {
    logLevel: text("log-level", { help: "log level: one of off|info|debug", default: level, choices }),
  };
}

/** Adds the commands and flags that every program has. */
export function completeProgram(program: Program): { program: Program; tree: Node; globalFlags: Flags } {
  const level = program.logLevel === undefined ? {} : logLevelFlag(program.logLevel);
  const globalFlags = { ...program.globalFlags, ...level };
  const tree = commandTree({ ...program, commands: [...program.commands, versionCommand, helpCommand] });
  return { program, tree, globalFlags };
}

/**
 * Escapes control characters: messages may contain untrusted text. Line breaks are kept, because our own messages have
 * some.
 */
function render(error: UserError): string {
  const causes = error.causes.map(({ field, message }) => `* ${visible(field)}: ${visibleLines(message)}\n`);
  return `Error: ${visibleLines(error.message)}\n${causes.join("")}`;
}

/**
 * Runs the command named by the words. Returns the exit code: the command's own (0 by default), or that of an error,
 * which is written to stderr.
 */
export async function runProgram(definition: Program, words: readonly string[], io: Io = processIo()): Promise<number> {
  const { program, tree, globalFlags } = completeProgram(definition);
  const located = locate(tree, globalFlags, words);
  let logLevel: LogLevel = program.logLevel ?? "off";
  try {
    const topic = helpTopic(located, tree, globalFlags, program);
    if (topic) {
      io.stdout.write(helpPage(program.name, topic, globalFlags));
      return 0;
    }
    const { command } = located.node;
    if (!command) return 0;
    const flags = { ...command.flags, ...globalFlags };
    const { values, given, args } = parseWords(
      flags,
      located.rest,
      command.args === "any" ? undefined : (command.args ?? []),
    );
    if ("logLevel" in globalFlags) logLevel = parseLogLevel(String(values.logLevel));
    return (await command.run({ flags: values, globals: values, given, args, logLevel, io })) ?? 0;
  } catch (error) {
    if (!(error instanceof UserError)) {
      io.stderr.write(
        `Error: ${visibleLines(messageOf(error))}\nThis is a bug in ${program.name}: please report it.\n`,
      );
      if (logLevel === "debug" && error instanceof Error) io.stderr.write(`${visibleLines(String(error.stack))}\n`);
      return 1;
    }
    io.stderr.write(render(error));
    if (error.usage) io.stderr.write(usagePage(program.name, located.node, globalFlags));
    return error.exitCode;
  }
}

/** The command or group whose help was requested; undefined if a command should run. Throws for an unknown command. */
function helpTopic(located: Located, tree: Node, globalFlags: Flags, program: Program): Node | undefined {
  const { node, rest, wantsHelp } = located;
  if (node.command === helpCommand && !wantsHelp) {
    const wanted = locate(tree, globalFlags, rest);
    return wanted.node.command ? wanted.node : groupAt(wanted, globalFlags, program);
  }
  if (wantsHelp && node.command) return node;
  return node.command ? undefined : groupAt(located, globalFlags, program);
}

/** The group to print help for. Throws for a word that is none of its commands, and for an unknown flag. */
function groupAt({ node, rest }: Located, globalFlags: Flags, program: Program): Node {
  const [word] = parseWords(globalFlags, rest).args;
  if (word !== undefined) throw unknownCommand(program.name, node, word);
  return node;
}
