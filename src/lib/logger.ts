import { messageOf, UserError } from "./errors.js";
import { visible, visibleJson } from "./visible.js";

export type LogLevel = "off" | "info" | "debug";
export type LogFormat = "text" | "json";
type Values = Record<string, unknown>;

/** Writes one line per event. Logger names are dotted and nest by `child`: `xds-server.diagnostics`. */
export interface Logger {
  info(message: string, values?: Values): void;
  /** Nothing failed, but the user should act. */
  warn(message: string, values?: Values): void;
  error(message: string, values?: Values): void;
  debug(message: string, values?: Values): void;
  child(name: string): Logger;
  readonly level: LogLevel;
}

interface Options {
  readonly name: string;
  readonly level: LogLevel;
  readonly format?: LogFormat;
  /** Receives each line with its line break; default: standard error. */
  readonly write?: (line: string) => void;
  readonly now?: () => Date;
}

const levels: readonly LogLevel[] = ["off", "info", "debug"];

export function parseLogLevel(text: string): LogLevel {
  const level = levels.find((known) => known === text);
  if (level) return level;
  throw UserError.of("log-level.unknown", { level: text });
}

/** @throws UserError `log-format.unknown` */
export function parseLogFormat(text: string): LogFormat {
  if (text === "text" || text === "json") return text;
  throw UserError.of("log-format.unknown", { format: text, formats: "text and json" });
}

/** The end of the name decides: `tokenPath` is not a secret, `dataplaneToken` is. */
const secretName =
  /(password|passphrase|secret|token|credentials?|authorization|cookie|(private|signing|client)[-_]?key)$/i;

/** RFC 3339 in local time with milliseconds: `2019-10-24T14:04:56.820+0200`, `Z` for UTC. */
function timestamp(date: Date): string {
  const offset = -date.getTimezoneOffset();
  const local = new Date(date.getTime() + offset * 60_000).toISOString().slice(0, -1);
  if (offset === 0) return `${local}Z`;
  const minutes = Math.abs(offset);
  const two = (n: number) => String(n).padStart(2, "0");
  return `${local}${offset < 0 ? "-" : "+"}${two(Math.floor(minutes / 60))}${two(minutes % 60)}`;
}

/** Samples identical messages: the first 100 per second, then every 100th. */
function createSampler(now: () => Date): (message: string) => boolean {
  const first = 100;
  const thereafter = 100;
  let second = -1;
  const seen = new Map<string, number>();
  return (message) => {
    const current = Math.floor(now().getTime() / 1000);
    if (current !== second) {
      second = current;
      seen.clear();
    }
    const count = (seen.get(message) ?? 0) + 1;
    seen.set(message, count);
    return count <= first || (count - first) % thereafter === 0;
  };
}

export function createLogger(options: Options): Logger {
  const { level, format = "text", now = () => new Date() } = options;
  const write = options.write ?? ((line: string) => void process.stderr.write(line));
  // Debug logs are complete.
  const passes = level === "debug" ? () => true : createSampler(now);

  function plain(key: string, value: unknown): unknown {
    if (key !== "" && secretName.test(key) && value !== undefined && value !== "") return "*****";
    if (value instanceof Error) return level === "debug" ? (value.stack ?? value.message) : messageOf(value);
    return typeof value === "bigint" ? String(value) : value;
  }

  function emit(title: string, name: string, message: string, values: Values): void {
    if (!passes(`${title} ${name} ${message}`)) return;
    const ts = timestamp(now());
    if (format === "json") {
      const head = { ts, level: title, logger: name, msg: message };
      write(`${visibleJson(JSON.stringify({ ...head, ...values, ...head }, plain))}\n`);
      return;
    }
    // A line break or a tab in a message would forge a second line or a column.
    const columns = [ts, title, name, visible(message)];
    if (Object.keys(values).length > 0) columns.push(visibleJson(JSON.stringify(values, plain)));
    write(`${columns.join("\t")}\n`);
  }

  function named(name: string): Logger {
    const at =
      (title: string, shown: boolean) =>
      (message: string, values: Values = {}): void => {
        if (shown) emit(title, name, message, values);
      };
    return {
      level,
      info: at("INFO", level !== "off"),
      warn: at("WARN", level !== "off"),
      error: at("ERROR", level !== "off"),
      debug: at("DEBUG", level === "debug"),
      child: (child) => named(`${name}.${child}`),
    };
  }
  return named(options.name);
}
