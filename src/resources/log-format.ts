import { nearest } from "../lib/suggest.js";
import { envoyOperators, headerOperators, kumaOperators } from "./log-operators.js";
import { quoted } from "./path.js";

/** A part of an access-log format; `text` is its source. */
export type FormatPart =
  | { readonly kind: "text"; readonly text: string }
  /** `%NAME%`, `%NAME(args)%`, `%NAME(args):LENGTH%`; `args` is undefined without parentheses. */
  | { readonly kind: "operator"; readonly text: string; readonly name: string; readonly args: string | undefined };

/** Why a format is invalid; `position` counts characters from 1. */
export interface FormatProblem {
  readonly position: number;
  readonly message: string;
}

// Envoy's grammar of a command operator, between two percent signs.
const operator = /%([A-Z0-9_]+)(?:\(([^)\n]*)\))?(:[0-9]+)?%/y;
const started = /%([A-Z0-9_]*)/y;

function at<T>(pattern: RegExp, text: string, position: number, use: (match: RegExpExecArray) => T): T | undefined {
  pattern.lastIndex = position;
  const match = pattern.exec(text);
  return match === null ? undefined : use(match);
}

/** Why the percent sign at the position starts no operator. */
function explain(format: string, position: number): string {
  const name = at(started, format, position, (match) => match[1]) ?? "";
  const next = format[position + 1 + name.length];
  if (name === "") {
    return 'malformed operator: "%" has to be followed by a name in upper case, or by another "%" for a percent sign';
  }
  if (next === undefined) return `malformed operator: "%${name}" has no closing "%"`;
  if (next === "(" && !format.includes(")", position)) return `malformed operator: "%${name}(" has no closing ")"`;
  if (next === "(" && format.slice(position, format.indexOf(")", position)).includes("\n")) {
    return `malformed operator: the arguments of "%${name}" can't contain a line break`;
  }
  if (next === "(")
    return `malformed operator: the arguments of "%${name}" have to be followed by "%" or by ":LENGTH%"`;
  if (next === ":") return `malformed operator: "%${name}:" has to be followed by a length and "%"`;
  return `malformed operator: "%${name}" has to be followed by "%", "(" or ":", not by ${quoted(next)}`;
}

const isKuma = (name: string) => name.startsWith("KUMA_");

// A token of RFC 9110, or a pseudo-header of HTTP/2.
const headerName = /^(?::?[!#$%&'*+\-.^_`|~0-9A-Za-z]+)?$/;

function headerProblem(name: string, args: string): string | undefined {
  const headers = args.split("?");
  if (headers.length > 2) return `malformed operator: "%${name}%" takes one header and one alternative at most`;
  const wrong = headers.find((header) => !headerName.test(header));
  return wrong === undefined ? undefined : `malformed operator: ${quoted(wrong)} in "%${name}%" is no name of a header`;
}

function misuse(name: string, args: string | undefined, length: string | undefined): string | undefined {
  if (isKuma(name)) {
    if (!kumaOperators.some((known) => known === name)) {
      const meant = nearest(name, kumaOperators);
      return `unknown operator "%${name}%"; ${meant === undefined ? `known are: ${kumaOperators.map((known) => `%${known}%`).join(", ")}` : `did you mean "%${meant}%"?`}`;
    }
    if (args !== undefined || length !== undefined) return `malformed operator: "%${name}%" takes no arguments`;
  }
  const shape = envoyOperators.get(name);
  if (shape === "plain" && (args !== undefined || length !== undefined))
    return `malformed operator: "%${name}%" takes no arguments`;
  if (shape === "optional" && length !== undefined) return `malformed operator: "%${name}%" takes no length`;
  if (shape === "required" && (args === undefined || args === "")) {
    return `malformed operator: "%${name}%" needs arguments, as in "%${name}(…)%"`;
  }
  return headerOperators.has(name) ? headerProblem(name, args ?? "") : undefined;
}

/**
 * Parses an access-log format; `%%` (a literal percent sign) stays in its text part. Returns a problem for the first
 * operator that Envoy would reject; an operator with an unknown name is not a problem.
 */
export function parseLogFormat(format: string): readonly FormatPart[] | FormatProblem {
  const parts: FormatPart[] = [];
  let text = 0;
  let position = format.indexOf("%");
  while (position >= 0) {
    if (format[position + 1] === "%") {
      position = format.indexOf("%", position + 2);
      continue;
    }
    const start = position;
    const match = at(operator, format, start, (found) => found);
    if (match === undefined) return { position: start + 1, message: explain(format, start) };
    const [whole, name = "", args, length] = match;
    const message = misuse(name, args, length);
    if (message !== undefined) return { position: start + 1, message };
    if (start > text) parts.push({ kind: "text", text: format.slice(text, start) });
    parts.push({ kind: "operator", text: whole, name, args });
    text = start + whole.length;
    position = format.indexOf("%", text);
  }
  if (text < format.length) parts.push({ kind: "text", text: format.slice(text) });
  return parts;
}

const sentence = ({ position, message }: FormatProblem) => `${message} (at character ${position})`;

/** The problem of a format with its position; undefined if it is valid. */
export function logFormatProblem(format: string): string | undefined {
  const parsed = parseLogFormat(format);
  return "message" in parsed ? sentence(parsed) : undefined;
}

/** The first unknown operator of a format, with its position; a newer Envoy may know it. Undefined if there is none. */
export function unknownOperator(format: string): string | undefined {
  const parsed = parseLogFormat(format);
  if ("message" in parsed) return undefined;
  let position = 1;
  for (const part of parsed) {
    if (part.kind === "operator" && !isKuma(part.name) && !envoyOperators.has(part.name)) {
      const meant = nearest(part.name, [...kumaOperators, ...envoyOperators.keys()]);
      const hint = meant === undefined ? "" : `; did you mean "%${meant}%"?`;
      return sentence({ position, message: `unknown operator "%${part.name}%"${hint}` });
    }
    position += part.text.length;
  }
  return undefined;
}
