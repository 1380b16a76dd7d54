import { isIP } from "node:net";
import { parseDuration } from "./durations.js";
import { messageOf, UserError } from "./errors.js";
import { isJsonObject } from "./json.js";
import { nearest } from "./suggest.js";

/**
 * Reads one value. `raw` is text from the environment or a flag, or any value of the YAML file; `name` is the setting's
 * name as the user wrote it, for the message of the UserError.
 */
export interface Parser<T> {
  (raw: unknown, name: string): T;
  /** True for text, where an empty variable is a value; otherwise it is the same as an unset one. */
  readonly takesEmpty?: boolean;
}

export interface Setting<T> {
  /** Path in the YAML file: `apiServer.port`. */
  readonly path: string;
  /** Environment variables, the preferred one first. */
  readonly env: readonly string[];
  readonly default: T;
  readonly parse: Parser<T>;
  /** One sentence for the documentation. */
  readonly sentence: string;
  readonly secret?: boolean;
  /** The value's form in YAML and `/config`, if it is not the value itself. */
  readonly show?: (value: T) => unknown;
}

// biome-ignore lint/suspicious/noExplicitAny: a table holds settings of different types, and its own type keeps them
export type SettingsTable = Readonly<Record<string, Setting<any>>>;
export type Values<Table extends SettingsTable> = { readonly [Key in keyof Table]: Table[Key]["default"] };
export type Origin = "default" | "file" | `env ${string}` | `flag ${string}`;

export interface Resolved<Table extends SettingsTable> {
  readonly values: Values<Table>;
  readonly origins: { readonly [Key in keyof Table]: Origin };
  readonly warnings: readonly string[];
}

export interface Sources {
  /** The parsed YAML document and its path. */
  readonly file?: { readonly path: string; readonly document: unknown };
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Values of flags by the key of the setting; undefined if not given. */
  readonly flags?: Readonly<Record<string, unknown>>;
}

/** How a secret is shown. */
export const mask = "*****";

/** `adminPort` → `--admin-port`. */
function flagOf(key: string): string {
  return `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

interface FromFile {
  readonly values: ReadonlyMap<string, unknown>;
  readonly problems: readonly string[];
}

/** The values in the file, by path, and the keys that are not settings. */
function readDocument(table: SettingsTable, document: unknown): FromFile {
  const paths = new Set(Object.values(table).map((setting) => setting.path));
  const branches = new Set([...paths].flatMap((path) => parents(path)));
  const values = new Map<string, unknown>();
  const problems: string[] = [];
  function walk(node: Record<string, unknown>, prefix: string): void {
    for (const [key, value] of Object.entries(node)) {
      const path = prefix + key;
      if (paths.has(path)) {
        if (value !== null) values.set(path, value);
      } else if (!branches.has(path)) {
        const siblings = [...paths, ...branches].filter((known) => known.startsWith(prefix));
        const here = new Set(siblings.map((known) => known.slice(prefix.length).split(".")[0] ?? ""));
        const meant = nearest(key, here);
        problems.push(`unknown key ${path}${meant ? `; did you mean ${prefix}${meant}?` : ""}`);
      } else if (isJsonObject(value)) {
        walk(value, `${path}.`);
      } else if (value !== null) {
        problems.push(`${path} has to be a map of settings, not ${describe(value)}`);
      }
    }
  }
  if (isJsonObject(document)) walk(document, "");
  else if (document !== undefined && document !== null) {
    problems.push(`the file has to be a map of settings, not ${describe(document)}`);
  }
  return { values, problems };
}

function parents(path: string): string[] {
  const words = path.split(".");
  return words.slice(1).map((_, index) => words.slice(0, index + 1).join("."));
}

/**
 * Defaults < file < environment < flags, resolved once into one frozen object. All errors are reported together as
 * UserError("settings.invalid"); unknown variables with our prefix are warnings.
 */
export function resolveSettings<Table extends SettingsTable>(table: Table, sources: Sources): Resolved<Table> {
  const { env, flags = {} } = sources;
  const file = readDocument(table, sources.file?.document);
  const problems = file.problems.map((problem) => `${sources.file?.path}: ${problem}`);
  const values: Record<string, unknown> = {};
  const origins: Record<string, Origin> = {};

  for (const [key, setting] of Object.entries(table)) {
    const variable = setting.env.find((name) => {
      const text = env[name];
      return text !== undefined && (text !== "" || setting.parse.takesEmpty);
    });
    const [raw, name, origin]: [unknown, string, Origin] =
      flags[key] !== undefined
        ? [flags[key], flagOf(key), `flag ${flagOf(key)}`]
        : variable !== undefined
          ? [env[variable], variable, `env ${variable}`]
          : file.values.has(setting.path)
            ? [file.values.get(setting.path), setting.path, "file"]
            : [undefined, setting.path, "default"];
    origins[key] = origin;
    if (origin === "default") {
      values[key] = setting.default;
      continue;
    }
    try {
      values[key] = setting.parse(raw, name);
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      problems.push(setting.secret ? `${name} has a value that can't be used` : messageOf(error));
    }
  }
  if (problems.length > 0) throw UserError.of("settings.invalid", { problems: problems.join("; ") });
  return {
    values: Object.freeze(values) as Values<Table>,
    origins: origins as Resolved<Table>["origins"],
    warnings: unknownVariables(table, env),
  };
}

/**
 * kubelet describes each Service of the namespace to the containers of a pod: a Service kuma-control-plane gives them
 * KUMA_CONTROL_PLANE_SERVICE_HOST and others, which nobody meant as a setting.
 */
function describesService(name: string, value: string | undefined): boolean {
  if (/_SERVICE_(HOST|PORT(_[A-Z0-9_]+)?)$/.test(name) || /_PORT_\d+_(TCP|UDP|SCTP)(_[A-Z]+)?$/.test(name)) return true;
  return name.endsWith("_PORT") && /^(tcp|udp|sctp):\/\//.test(value ?? "");
}

function unknownVariables(table: SettingsTable, env: Sources["env"]): string[] {
  const known = new Set(Object.values(table).flatMap((setting) => setting.env));
  return Object.keys(env)
    .filter((name) => name.startsWith("KUMA_") && !known.has(name) && !describesService(name, env[name]))
    .sort()
    .map((name) => {
      const meant = nearest(name, known);
      return `the environment variable ${name} is not a setting and is ignored${meant ? `; did you mean ${meant}?` : ""}`;
    });
}

function describe(raw: unknown): string {
  if (typeof raw === "string") return `"${raw}"`;
  if (raw === null || typeof raw !== "object") return String(raw);
  return Array.isArray(raw) ? "a list" : "a map";
}

function wrong(name: string, raw: unknown, expected: string): UserError {
  return UserError.of("setting.invalid", { setting: name, value: describe(raw), expected });
}

export const str: Parser<string> = Object.assign(
  (raw: unknown, name: string): string => {
    if (typeof raw === "string") return raw;
    if (typeof raw === "number" || typeof raw === "boolean") {
      throw wrong(name, raw, `text; put it in quotes: "${raw}"`);
    }
    throw wrong(name, raw, "text");
  },
  { takesEmpty: true },
);

const spellings: ReadonlyMap<unknown, boolean> = new Map<unknown, boolean>([
  ...["1", "t", "T", "TRUE", "true", "True", true].map((word) => [word, true] as const),
  ...["0", "f", "F", "FALSE", "false", "False", false].map((word) => [word, false] as const),
]);

/** A YAML boolean, or text in one of the spellings that Go's ParseBool accepts. */
export const bool: Parser<boolean> = (raw, name) => {
  const value = spellings.get(raw);
  if (value === undefined) throw wrong(name, raw, "true or false");
  return value;
};

/** An integer from `min` to `max`, inclusive. */
export function int(min: number, max: number = Number.MAX_SAFE_INTEGER): Parser<number> {
  const expected =
    max === Number.MAX_SAFE_INTEGER ? `a whole number of at least ${min}` : `a whole number from ${min} to ${max}`;
  return (raw, name) => {
    const value = typeof raw === "string" && /^[+-]?\d+$/.test(raw.trim()) ? Number(raw) : raw;
    if (typeof value !== "number" || !Number.isSafeInteger(value) || value < min || value > max) {
      throw wrong(name, raw, expected);
    }
    return value;
  };
}

/** 0 to 65535; 0 means any free port. */
export const port: Parser<number> = int(0, 65535);

/** A duration in Go's syntax, of at least `min` milliseconds. */
export function durationSetting(min = 0): Parser<number> {
  return (raw, name) => {
    const expected = `a duration such as 300ms, 1s or 720h${min > 0 ? ` of at least ${min}ms` : ""}`;
    if (typeof raw !== "string") throw wrong(name, raw, expected);
    let value: number;
    try {
      value = parseDuration(raw.trim());
    } catch {
      throw wrong(name, raw, expected);
    }
    if (value < min) throw wrong(name, raw, expected);
    return value;
  };
}

/** A YAML list of texts, or a comma-separated text. */
export const list: Parser<readonly string[]> = (raw, name) => {
  if (typeof raw === "string") {
    return raw
      .split(",")
      .map((element) => element.trim())
      .filter((element) => element !== "");
  }
  if (!Array.isArray(raw)) throw wrong(name, raw, "a list");
  return raw.map((element, index) => str(element, `${name}[${index}]`));
};

export function oneOf<const Choice extends string>(...choices: readonly Choice[]): Parser<Choice> {
  return (raw, name) => {
    const choice = choices.find((known) => known === raw);
    if (choice !== undefined) return choice;
    const meant = typeof raw === "string" ? nearest(raw, choices) : undefined;
    throw wrong(name, raw, `one of ${choices.join(", ")}${meant ? `; did you mean ${meant}?` : ""}`);
  };
}

export const ipAddress: Parser<string> = (raw, name) => {
  if (typeof raw !== "string" || isIP(raw) === 0) throw wrong(name, raw, "an IP address");
  return raw;
};
