import type { Steps } from "./steps.js";

/** Limits on a JSON text. */
export interface JsonBounds {
  /** Nesting depth of lists and objects. */
  readonly deepest: number;
  /** Elements of one list. */
  readonly elements: number;
  /** Members of one object. */
  readonly members: number;
  /** Values of all kinds in the text. */
  readonly values: number;
}

/** The text exceeds a limit. */
export class BeyondBounds extends Error {}

const blank = /[ \t\n\r]*/y;
const literal = /true|false|null|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;

/** A list or an object that is being read. */
type Open =
  | { readonly list: unknown[]; readonly object?: undefined }
  | { readonly list?: undefined; readonly object: Record<string, unknown>; key: string; members: number };

const expected: Readonly<Record<string, string>> = {
  value: "a value",
  key: "a name in double quotes",
  colon: '":"',
  next: '"," or a closing bracket',
  end: "the end of the text",
};

/** The path of the next value: `a.b[2]`. */
function place(open: readonly Open[]): string {
  let path = "";
  for (const { list, key } of open.map((one) => ({ key: "", ...one }))) {
    if (list !== undefined) path += `[${list.length}]`;
    else if (/^[A-Za-z_][A-Za-z0-9_-]*$/.test(key)) path += path === "" ? key : `.${key}`;
    else path += `[${JSON.stringify(key.slice(0, 100))}]`;
  }
  return path.length > 200 ? `${path.slice(0, 200)}…` : path;
}

/**
 * Parses JSON like `JSON.parse`, in steps of some hundred values.
 * @throws SyntaxError for invalid JSON, BeyondBounds with the path for what exceeds a limit
 */
export function* parseJsonInSteps(text: string, bounds: JsonBounds): Steps<unknown> {
  const open: Open[] = [];
  let position = 0;
  let values = 0;

  const fail = (what: string) => {
    const found = position < text.length ? JSON.stringify(text[position]) : "the end of the text";
    return new SyntaxError(`expected ${expected[what]} at position ${position}, got ${found}`);
  };
  const beyond = (what: string, most: number) => {
    const where = place(open.slice(0, 20));
    return new BeyondBounds(`${where === "" ? "" : `${where}: `}${what}: ${most} at most are taken`);
  };
  const skip = () => {
    blank.lastIndex = position;
    blank.exec(text);
    position = blank.lastIndex;
  };

  /** Reads a string; the closing quote is the first one after an even number of backslashes. */
  function string(): string {
    let end = position;
    for (;;) {
      end = text.indexOf('"', end + 1);
      if (end < 0) {
        position = text.length;
        throw new SyntaxError("unterminated string");
      }
      let slashes = 0;
      while (text[end - 1 - slashes] === "\\") slashes += 1;
      if (slashes % 2 === 0) break;
    }
    const value = JSON.parse(text.slice(position, end + 1)) as string;
    position = end + 1;
    return value;
  }

  function scalar(): unknown {
    if (text[position] === '"') return string();
    literal.lastIndex = position;
    const found = literal.exec(text)?.[0];
    if (found === undefined) throw fail("value");
    position += found.length;
    return JSON.parse(found);
  }

  function key(holder: Open & { object: Record<string, unknown> }): void {
    skip();
    if (text[position] !== '"') throw fail("key");
    holder.members += 1;
    if (holder.members > bounds.members) {
      open.pop();
      throw beyond("an object has too many members", bounds.members);
    }
    holder.key = string();
    skip();
    if (text[position] !== ":") throw fail("colon");
    position += 1;
  }

  for (;;) {
    skip();
    values += 1;
    if (values > bounds.values) throw beyond("too many values in one body", bounds.values);
    if (values % 256 === 0) yield;
    let value: unknown;
    const bracket = text[position];
    if (bracket === "[" || bracket === "{") {
      if (open.length >= bounds.deepest) {
        throw new BeyondBounds(`nested deeper than ${bounds.deepest} levels at position ${position}`);
      }
      position += 1;
      skip();
      const one: Open = bracket === "[" ? { list: [] } : { object: {}, key: "", members: 0 };
      if (text[position] !== (bracket === "[" ? "]" : "}")) {
        open.push(one);
        if (one.object !== undefined) key(one);
        continue;
      }
      position += 1;
      value = one.list ?? one.object;
    } else value = scalar();

    // The value is complete, and maybe some of those that enclose it, too.
    for (;;) {
      const around = open.at(-1);
      skip();
      if (around === undefined) {
        if (position < text.length) throw fail("end");
        return value;
      }
      if (around.list !== undefined) {
        if (around.list.length >= bounds.elements) {
          open.pop();
          throw beyond("a list has too many elements", bounds.elements);
        }
        around.list.push(value);
      } else if (around.key === "__proto__") {
        Object.defineProperty(around.object, around.key, {
          value,
          enumerable: true,
          configurable: true,
          writable: true,
        });
      } else around.object[around.key] = value;
      const next = text[position];
      if (next === ",") {
        position += 1;
        if (around.object !== undefined) key(around);
        break;
      }
      if (next !== (around.list === undefined ? "}" : "]")) throw fail("next");
      position += 1;
      open.pop();
      value = around.list ?? around.object;
    }
  }
}
