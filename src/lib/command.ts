import type { Readable } from "node:stream";
import type { LogLevel } from "./logger.js";

/** A flag of a command, created by `text`, `toggle` or `list`; `T` is the type of its value. */
export interface Flag<T> {
  readonly kind: "text" | "toggle" | "list";
  /** The long name without its dashes: letters and dashes only. */
  readonly name: string;
  readonly short?: string;
  /** Other long names, not listed in the help. */
  readonly aliases: readonly string[];
  readonly help: string;
  /** The kind of value that the help shows behind the name: `string`, `duration`. */
  readonly placeholder: string;
  readonly required: boolean;
  readonly default: T;
  /** Values that completion suggests. */
  readonly choices?: readonly string[];
  /** For lists: whether commas separate several values. */
  readonly commas: boolean;
  /** Converts the text to the value; a UserError becomes `invalid argument "x" for "--name" flag: …`. */
  readonly parse?: (raw: string) => T;
}

interface FlagOptions {
  readonly short?: string;
  readonly aliases?: readonly string[];
  readonly help: string;
  readonly placeholder?: string;
  readonly required?: boolean;
  readonly choices?: readonly string[];
}

const plainFlag = { aliases: [], placeholder: "string", required: false, commas: false };

/**
 * A flag with one value; giving it twice with different values is an error. Without a default the value is undefined if
 * not given; a required one is never undefined.
 */
export function text(name: string, options: FlagOptions & { default: string }): Flag<string>;
export function text(name: string, options: FlagOptions & { required: true }): Flag<string>;
export function text<T>(name: string, options: FlagOptions & { parse: (raw: string) => T; default: T }): Flag<T>;
export function text<T>(name: string, options: FlagOptions & { parse: (raw: string) => T }): Flag<T | undefined>;
export function text(name: string, options: FlagOptions): Flag<string | undefined>;
export function text(name: string, options: FlagOptions & { default?: unknown }): Flag<unknown> {
  return { ...plainFlag, ...options, kind: "text", name, default: options.default };
}

/** A boolean flag without a value. */
export function toggle(name: string, options: FlagOptions): Flag<boolean> {
  return { ...plainFlag, ...options, kind: "toggle", name, placeholder: "", default: false };
}

/** A flag that may be repeated and whose values, unless `commas` is false, may be separated by commas. */
export function list(name: string, options: FlagOptions & { commas?: boolean }): Flag<readonly string[]> {
  return { ...plainFlag, placeholder: "strings", commas: true, ...options, kind: "list", name, default: [] };
}

// biome-ignore lint/suspicious/noExplicitAny: flags of different types stand in one record, whose own type keeps them
export type Flags = Readonly<Record<string, Flag<any>>>;
export type FlagValues<F extends Flags> = { readonly [Key in keyof F]: F[Key]["default"] };

/** The process's streams and environment, as a parameter that tests replace. */
export interface Io {
  readonly stdin: Readable;
  readonly stdout: Sink;
  readonly stderr: Sink;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Whether to print colours; see `wantsColor`. */
  readonly color: boolean;
}

export interface Sink {
  write(text: string): unknown;
}

export interface Invocation<F extends Flags, G extends Flags> {
  readonly flags: FlagValues<F>;
  /** The positional arguments, as many as the definition's `args` allows. */
  readonly args: readonly string[];
  /** Values of the program's own global flags. */
  readonly globals: FlagValues<G>;
  /**
   * Keys of the flags, global or not, that the user gave: a given value may override what the same value as a default
   * does not.
   */
  readonly given: ReadonlySet<string>;
  readonly logLevel: LogLevel;
  readonly io: Io;
}

export interface Definition<F extends Flags, G extends Flags> {
  /** The words after the program's name: "config control-planes add"; "" is the program itself. */
  readonly path: string;
  /** Aliases of the last word of the path. */
  readonly aliases?: readonly string[];
  /** One line, shown in the list of commands and at the top of the command's help. */
  readonly summary: string;
  /** More paragraphs for the command's own help. */
  readonly details?: string;
  readonly examples?: readonly string[];
  /**
   * The positional arguments in order, as the usage line shows them: ["TYPE", "NAME"], optional ones in brackets; "any"
   * for any number.
   */
  readonly args?: readonly string[] | "any";
  /** Values that completion suggests, by positional argument. */
  readonly argChoices?: readonly (readonly string[])[];
  readonly flags?: F;
  /** Returns the exit code; default: 0. */
  // biome-ignore lint/suspicious/noConfusingVoidType: an async function without a return is of this type
  readonly run: (invocation: Invocation<F, G>) => Promise<number | void>;
}

/** A definition with erased flag types. */
// biome-ignore lint/suspicious/noExplicitAny: what a command gets was checked where it was defined
export type Command = Definition<any, any>;

/** Defines a command whose `run` is typed by its flags. */
export function command<const F extends Flags = Record<never, never>>(
  definition: Definition<F, Record<never, never>>,
): Command {
  return definition;
}

/** `command` for a program with global flags: `const command = commandsWith<typeof globalFlags>()`. */
export function commandsWith<G extends Flags>() {
  return <const F extends Flags = Record<never, never>>(definition: Definition<F, G>): Command => definition;
}

export interface Group {
  readonly path: string;
  readonly aliases?: readonly string[];
  readonly summary: string;
  readonly details?: string;
}

export interface Program {
  readonly name: string;
  readonly description: string;
  readonly commands: readonly Command[];
  /** Commands that only group others: `config` of `config view`. */
  readonly groups?: readonly Group[];
  /** Flags of every command, besides `--log-level`. */
  readonly globalFlags?: Flags;
  /** The default of `--log-level`; a program without it has no such flag. */
  readonly logLevel?: LogLevel;
}

/** Whether a command is for programs only, such as `__complete`: help and suggestions leave it out. */
export function isHidden(node: Node): boolean {
  return node.words.at(-1)?.startsWith("__") === true;
}

/** A node of the command tree: a command, a group, or (the root of most programs) just a set of commands. */
export interface Node {
  readonly words: readonly string[];
  readonly summary: string;
  readonly details?: string;
  readonly aliases: readonly string[];
  readonly command?: Command;
  /** In the order of the program's definition. */
  readonly children: readonly Node[];
}

/** The program's commands as a tree. */
export function commandTree(program: Program): Node {
  const commands = new Map(program.commands.map((entry) => [entry.path, entry]));
  const groups = new Map((program.groups ?? []).map((entry) => [entry.path, entry]));
  const paths = [...commands.keys(), ...groups.keys()].filter((path) => path !== "");
  function build(words: readonly string[]): Node {
    const path = words.join(" ");
    const own = commands.get(path);
    const about = own ?? groups.get(path);
    const children = paths.filter((other) => other.split(" ").slice(0, -1).join(" ") === path);
    return {
      words,
      summary: about?.summary ?? program.description,
      aliases: about?.aliases ?? [],
      ...(about?.details === undefined ? {} : { details: about.details }),
      ...(own === undefined ? {} : { command: own }),
      children: children.map((child) => build(child.split(" "))),
    };
  }
  return build([]);
}
