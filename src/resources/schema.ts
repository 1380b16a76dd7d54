import type { Cause } from "../lib/errors.js";
import { nearest } from "../lib/suggest.js";
import { malformed, mismatch } from "./malformed.js";
import { pathText, quoted, type Step } from "./path.js";

/** Whether unknown fields are reported (at the doors) or kept (records of a newer version in a shared store). */
export type Mode = "strict" | "lenient";

/** One pass over one document. */
export interface Reading {
  readonly mode: Mode;
  /** Where in the document the pass is. Not restored by a thrown error, which ends the pass. */
  readonly path: Step[];
  readonly unknown: Cause[];
}

/**
 * How a JSON value of one kind is read and normalised. What a schema made it reads again to an equal value.
 */
export interface Schema<T> {
  /** Reads a value that is there: neither null nor undefined. Throws UserError("resource.malformed"). */
  read(input: unknown, reading: Reading): T;
  /** True for what proto3 JSON leaves out of an object: zero, "", false, empty lists and maps. */
  isDefault(value: T): boolean;
}

/** What a schema reads. Types and rules thus can't drift apart. */
export type Infer<S> = S extends Schema<infer T> ? T : never;

type Fields = Readonly<Record<string, Schema<unknown>>>;
type ObjectOf<F extends Fields> = { readonly [K in keyof F]?: Infer<F[K]> };

export interface ObjectSchema<T> extends Schema<T> {
  /** As `read`, for the outermost object of a document; `beside` names its keys that belong to somebody else. */
  readRoot(input: unknown, reading: Reading, beside: readonly string[]): T;
}

type JsonObject = Record<string, unknown>;

/** Assigning to `__proto__` would change the object's prototype instead of setting a key. */
export function setOwn(target: JsonObject, key: string, value: unknown): void {
  if (key !== "__proto__") target[key] = value;
  else Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true });
}

/** True for what JSON and YAML call an object, and for nothing else. */
export function isJsonObject(input: unknown): input is JsonObject {
  if (typeof input !== "object" || input === null) return false;
  const prototype: unknown = Object.getPrototypeOf(input);
  return prototype === Object.prototype || prototype === null;
}

const toSnakeCase = (name: string) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

/** Suggestions cost time per unknown name, and nobody reads more than these. */
const reportedUnknown = 100;

function reportUnknown(key: string, known: readonly string[], reading: Reading): void {
  if (reading.unknown.length >= reportedUnknown) return;
  const meant = nearest(key, known);
  const field = pathText([...reading.path, key]);
  let message = "unknown field";
  if (meant !== undefined) message += `; did you mean ${quoted(meant)}?`;
  else if (known.length > 0) message += `; known here: ${known.join(", ")}`;
  reading.unknown.push({ field, message });
}

/**
 * An object of known fields, each optional. It takes lowerCamelCase and snake_case names, gives lowerCamelCase in the
 * order of `fields`, and leaves out unset and default values; an object that is there stays there, even when empty.
 */
export function object<const F extends Fields>(fields: F): ObjectSchema<ObjectOf<F>> {
  const members = Object.entries(fields).map(([name, schema]) => ({ name, snake: toSnakeCase(name), schema }));
  const names = members.map(({ name }) => name);
  const spellings = new Set(members.flatMap(({ name, snake }) => [name, snake]));
  const none: readonly string[] = [];

  function handleUnknown(input: JsonObject, into: JsonObject, reading: Reading, beside: readonly string[]): void {
    for (const key of Object.keys(input)) {
      if (spellings.has(key) || beside.includes(key)) continue;
      if (reading.mode === "lenient") setOwn(into, key, input[key]);
      else reportUnknown(key, [...beside, ...names], reading);
    }
  }

  function readRoot(input: unknown, reading: Reading, beside: readonly string[]): ObjectOf<F> {
    if (!isJsonObject(input)) throw mismatch(reading.path, "an object", input);
    const result: JsonObject = {};
    let present = 0;
    for (const { name, snake, schema } of members) {
      let value = input[name];
      if (value !== undefined) present += 1;
      if (snake !== name) {
        const other = input[snake];
        if (other !== undefined) {
          if (value !== undefined) {
            throw malformed([...reading.path, name], `the field is given twice, as ${name} and as ${snake}`);
          }
          present += 1;
          value = other;
        }
      }
      if (value === undefined || value === null) continue;
      reading.path.push(name);
      const read = schema.read(value, reading);
      reading.path.pop();
      if (!schema.isDefault(read)) result[name] = read;
    }
    if (Object.keys(input).length !== present) handleUnknown(input, result, reading, beside);
    // The loop above built exactly this shape, field by field, which TypeScript can't follow.
    return result as ObjectOf<F>;
  }

  return { readRoot, read: (input, reading) => readRoot(input, reading, none), isDefault: () => false };
}

/** A list; null is no element of it. */
export function list<T>(element: Schema<T>): Schema<readonly T[]> {
  return {
    read(input, reading) {
      if (!Array.isArray(input)) {
        throw mismatch(reading.path, "a list", input, 'start each element with "-" in YAML, or use [ ] in JSON');
      }
      const result: T[] = [];
      for (let index = 0; index < input.length; index++) {
        const value: unknown = input[index];
        reading.path.push(index);
        if (value === null || value === undefined) throw mismatch(reading.path, "an element", value);
        result.push(element.read(value, reading));
        reading.path.pop();
      }
      return result;
    },
    isDefault: (value) => value.length === 0,
  };
}

/** Any keys to values of one kind, in the order written; keys such as `__proto__` are keys like all others. */
export function map<T>(value: Schema<T>): Schema<Readonly<Record<string, T>>> {
  return {
    read(input, reading) {
      if (!isJsonObject(input)) throw mismatch(reading.path, "an object of keys and values", input);
      const result: Record<string, T> = {};
      for (const key of Object.keys(input)) {
        const member = input[key];
        reading.path.push({ key });
        if (!key.isWellFormed()) throw malformed(reading.path, "the key is not valid Unicode");
        if (member === null || member === undefined) throw mismatch(reading.path, "a value", member);
        setOwn(result, key, value.read(member, reading));
        reading.path.pop();
      }
      return result;
    },
    isDefault(members) {
      for (const key in members) if (Object.hasOwn(members, key)) return false;
      return true;
    },
  };
}

interface DecodeOptions {
  /** Keys of the outermost object that are read elsewhere: neither unknown nor part of the value. */
  readonly beside?: readonly string[];
}

/**
 * Reads a document in proto3 JSON into its normal form, which is at once what is stored, emitted and read: lowerCamelCase
 * names; unset and default scalars, empty lists and empty maps left out; objects that were given kept; 64-bit integers
 * as text; durations and timestamps in one spelling. The input is never changed nor kept.
 *
 * In strict mode unknown fields come back as causes (the first 100), in lenient mode they stay in the value as they are.
 * @throws UserError("resource.malformed") for a value of the wrong JSON type: its message has the path, what was
 * expected and what came, and its one cause the path as its field.
 */
export function decode<T>(
  schema: ObjectSchema<T>,
  input: unknown,
  mode: Mode,
  { beside = [] }: DecodeOptions = {},
): { value: T; unknown: Cause[] } {
  const reading: Reading = { mode, path: [], unknown: [] };
  const value = schema.readRoot(input, reading, beside);
  return { value, unknown: reading.unknown };
}
