import { Cli, Command as Clipanion, Option } from "clipanion";
import { type Flag, type Flags, isHidden, type Node } from "./command.js";
import { messageOf, UserError } from "./errors.js";
import { nearest } from "./suggest.js";

/** The command or group that a command line names. */
export interface Located {
  readonly node: Node;
  /** The remaining words: flags, arguments and, in a group, the unknown command. */
  readonly rest: readonly string[];
  readonly wantsHelp: boolean;
}

function namesOf(flag: Flag<unknown>): string[] {
  const long = [flag.name, ...flag.aliases].map((name) => `--${name}`);
  return flag.short === undefined ? long : [`-${flag.short}`, ...long];
}

function below(node: Node): Flags[] {
  return [node.command?.flags ?? {}, ...node.children.flatMap(below)];
}

/**
 * Finds the command. Flags may come before, between and after its words, so the flags of all commands below are needed
 * to tell which words are values of flags. Words after `--` are neither commands nor a request for help.
 */
export function locate(root: Node, globalFlags: Flags, args: readonly string[]): Located {
  const valued = new Set(
    [globalFlags, ...below(root)]
      .flatMap((flags) => Object.values(flags))
      .filter((flag) => flag.kind !== "toggle")
      .flatMap(namesOf),
  );
  const rest: string[] = [];
  let node = root;
  let lost = false;
  let wantsHelp = false;
  for (let i = 0; i < args.length; i++) {
    const arg = args[i] ?? "";
    if (arg === "--") {
      rest.push(...args.slice(i));
      break;
    }
    if (arg === "-h" || arg === "--help") {
      wantsHelp = true;
    } else if (arg.startsWith("-") && arg !== "-") {
      rest.push(arg);
      const value = args[i + 1];
      if (valued.has(arg) && value !== undefined) {
        rest.push(value);
        i++;
      }
    } else {
      const child = lost ? undefined : childOf(node, arg);
      if (child) node = child;
      else {
        lost = true;
        rest.push(arg);
      }
    }
  }
  return { node, rest, wantsHelp };
}

function childOf(node: Node, word: string): Node | undefined {
  return node.children.find((child) => child.words.at(-1) === word || child.aliases.includes(word));
}

/** The error for an unknown command. */
export function unknownCommand(program: string, node: Node, word: string): UserError {
  const parent = [program, ...node.words].join(" ");
  const meant = nearest(word, knownWords(node));
  const hint = meant === undefined ? "" : `\n\nDid you mean this?\n\t${meant}`;
  return UserError.of("command.unknown", { command: word, parent, hint });
}

function knownWords(node: Node): string[] {
  return node.children.filter((child) => !isHidden(child)).flatMap((child) => child.words.at(-1) ?? []);
}

/** The error for the first unknown flag; undefined if all are known. */
function unknownFlag(flags: Flags, rest: readonly string[]): UserError | undefined {
  const known = Object.values(flags).flatMap(namesOf);
  for (const arg of rest) {
    if (arg === "--") return undefined;
    if (!arg.startsWith("-") || arg === "-") continue;
    const name = arg.split("=", 1)[0] ?? arg;
    if (known.includes(name)) continue;
    const meant = name.startsWith("--") ? nearest(name, [...known.filter(isLong), "--help"]) : undefined;
    const kind = name.startsWith("--") ? "flag" : "shorthand flag";
    return UserError.of("flag.unknown", {
      kind,
      flag: firstLine(name),
      hint: meant === undefined ? "" : `; did you mean ${meant}?`,
    });
  }
  return undefined;
}

function isLong(name: string): boolean {
  return name.startsWith("--");
}

/** Splits `-ojson` and `-o=json` into the two words that the parser expects. */
function detachShort(flags: Flags, rest: readonly string[]): string[] {
  const end = rest.indexOf("--");
  return rest.flatMap((arg, index) => {
    const [, name, value] = (end < 0 || index < end ? /^-([A-Za-z])=?(.+)$/s.exec(arg) : null) ?? [];
    const flag = Object.values(flags).find(({ short, kind }) => short === name && kind !== "toggle");
    return name !== undefined && value !== undefined && flag ? [`-${name}`, value] : [arg];
  });
}

/** Binds PEM texts to their flags: they start with dashes, and the parser would take them for flags. */
function attachPem(flags: Flags, words: readonly string[]): string[] {
  const takesValue = new Set(Object.values(flags).flatMap((flag) => (flag.kind === "toggle" ? [] : namesOf(flag))));
  const attached: string[] = [];
  for (const word of words) {
    const flag = attached.at(-1);
    if (!word.startsWith("-----BEGIN ") || flag === undefined || !takesValue.has(flag)) attached.push(word);
    else attached[attached.length - 1] = `${flag}=${word}`;
  }
  return attached;
}

/** The parser for one command: each flag under its key, the positional arguments under `positionalKey`. */
function parserOf(flags: Flags): Cli {
  const positionals = Option.Rest({ name: "args" });
  const options = Object.entries(flags).map(([key, flag]) => {
    const descriptor = namesOf(flag).join(",");
    if (flag.kind === "toggle") return [key, Option.Boolean(descriptor)];
    // Clipanion's single-value options silently keep the last value given.
    return [key, Option.Array(descriptor)];
  });
  class Parsed extends Clipanion {
    constructor() {
      super();
      Object.assign(this, Object.fromEntries(options), { [positionalKey]: positionals });
    }
    async execute(): Promise<void> {}
  }
  return Cli.from(Parsed, { binaryName: "" });
}

const positionalKey = "positional arguments";

export interface Parsed {
  readonly values: Readonly<Record<string, unknown>>;
  /** Keys of the flags that the user gave; the others have their defaults. */
  readonly given: ReadonlySet<string>;
  readonly args: readonly string[];
}

/**
 * Parses the flags (including global ones) and arguments of a command; without `expected`, any number of arguments is
 * accepted. Throws UserErrors with `usage` set for an invalid command line.
 */
export function parseWords(flags: Flags, rest: readonly string[], expected?: readonly string[]): Parsed {
  const words = attachPem(flags, detachShort(flags, rest));
  let found: Readonly<Record<string, unknown>>;
  try {
    found = Object.fromEntries(Object.entries(parserOf(flags).process(words)));
  } catch (error) {
    throw (
      explain(flags, words) ?? UserError.of("arguments.invalid", { problem: messageOf(error).split("\n", 1)[0] ?? "" })
    );
  }
  const args = Array.isArray(found[positionalKey]) ? found[positionalKey].map(String) : [];
  const least = expected?.filter((name) => !name.startsWith("[")).length ?? 0;
  if (expected && (args.length < least || args.length > expected.length)) {
    const count = least === expected.length ? least : `${least} to ${expected.length}`;
    throw UserError.of("arguments.count", { expected: count, received: args.length });
  }
  const missing = Object.entries(flags).filter(([key, flag]) => flag.required && found[key] === undefined);
  if (missing.length > 0) {
    const names = missing.map(([, flag]) => `"${flag.name}"`).sort();
    throw UserError.of("flag.required", { flags: names.join(", ") });
  }
  const values = Object.entries(flags).map(([key, flag]) => [key, resolveValue(flag, found[key])]);
  const given = new Set(Object.keys(flags).filter((key) => found[key] !== undefined));
  return { values: Object.fromEntries(values), given, args };
}

/** Why the parser rejected the words: its own messages neither name the flag nor suggest a fix. */
function explain(flags: Flags, words: readonly string[]): UserError | undefined {
  const unknown = unknownFlag(flags, words);
  if (unknown) return unknown;
  for (const [index, word] of words.entries()) {
    if (word === "--") return undefined;
    const [name = word, ...bound] = word.split("=");
    const flag = Object.values(flags).find((candidate) => namesOf(candidate).includes(name));
    if (!flag) continue;
    if (flag.kind === "toggle") {
      if (bound.length > 0) return UserError.of("flag.takes-none", { flag: name });
      continue;
    }
    const next = words[index + 1];
    if (bound.length > 0 || (next !== undefined && (next === "-" || !next.startsWith("-")))) continue;
    const hint = next === undefined ? "" : `; for a value that starts with a dash write ${name}=${next}`;
    return UserError.of("flag.takes-one", { flag: name, hint });
  }
  return undefined;
}

/** The first line of a value: a private key must not appear in an error message. */
const firstLine = (value: string): string => value.replace(/\n[\s\S]*/, "…");

/** The value of a single-value flag. */
function onlyValue({ name }: Flag<unknown>, values: readonly string[]): string {
  const [first = "", ...others] = values;
  const other = others.find((value) => value !== first);
  if (other === undefined) return first;
  throw UserError.of("flag.repeated", { flag: name, value: firstLine(first), other: firstLine(other) });
}

function resolveValue(flag: Flag<unknown>, found: unknown): unknown {
  if (!Array.isArray(found)) return found ?? flag.default;
  const values = found.map(String);
  if (flag.kind === "list") return flag.commas ? values.flatMap((value) => value.split(",")) : values;
  const raw = onlyValue(flag, values);
  if (flag.parse === undefined) return raw;
  try {
    return flag.parse(raw);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    throw UserError.of("flag.value", { value: raw, flag: `--${flag.name}`, reason: error });
  }
}
