import type { Cause } from "../lib/errors.js";
import { isJsonObject, type JsonObject } from "../lib/json.js";
import type { Steps } from "../lib/steps.js";
import { nearest } from "../lib/suggest.js";
import { malformed, mismatch } from "./malformed.js";
import { pathText, quoted, type Step } from "./path.js";

/** Whether unknown fields are reported (user input) or kept (records of a newer version in a shared store). */
export type Mode = "strict" | "lenient";

/** One pass over one document. */
export interface Reading {
  readonly mode: Mode;
  /** The current path in the document. Not restored after an exception, which ends the pass. */
  readonly path: Step[];
  readonly unknown: Cause[];
}

/** What a schema accepts, for documentation: CRDs are written from it. */
export type Shape =
  | { readonly kind: "object"; readonly fields: Readonly<Record<string, Shape>> }
  | { readonly kind: "list"; readonly element: Shape }
  | { readonly kind: "map"; readonly value: Shape }
  /** `expected` says what may stand there: `text`, `true or false`. */
  | { readonly kind: "value"; readonly expected: string };

/** Reads and normalizes one kind of JSON value. Idempotent: reading the result again returns an equal value. */
export interface Schema<T> {
  /** Reads a value that is neither null nor undefined. Throws UserError("resource.malformed"). */
  read(input: unknown, reading: Reading): T;
  /** The same in steps, for values that may contain many others. */
  readonly steps?: (input: unknown, reading: Reading) => Steps<T>;
  /** True for what proto3 JSON leaves out of an object: zero, "", false, empty lists and maps. */
  isDefault(value: T): boolean;
  readonly shape: Shape;
}

/** The type of a schema's values. Types and rules thus can't drift apart. */
export type Infer<S> = S extends Schema<infer T> ? T : never;

type Fields = Readonly<Record<string, Schema<unknown>>>;
type ObjectOf<F extends Fields> = { readonly [K in keyof F]?: Infer<F[K]> };

export interface ObjectSchema<T> extends Schema<T> {
  /** Like `read`, for the root object of a document; `beside` lists keys that are read elsewhere. */
  readRoot(input: unknown, reading: Reading, beside: readonly string[]): T;
  readonly rootSteps: (input: unknown, reading: Reading, beside: readonly string[]) => Steps<T>;
}

/**
 * Maximum elements of lists and maps, and length of some texts, in user input. Stored resources are read without these
 * limits.
 */
export const limits = {
  inbounds: 1_000,
  outbounds: 10_000,
  /** Per inbound, selector or destination of a route. */
  tags: 256,
  selectors: 1_000,
  rules: 10_000,
  routeDestinations: 1_000,
  loggingBackends: 256,
  logFormatCharacters: 16_384,
  templateImports: 100,
  rawResources: 1_000,
  /** A real listener has tens of KiB at most; YAML of this size is parsed within some milliseconds. */
  rawResourceCharacters: 65_536,
  /** All other lists and maps. */
  others: 10_000,
} as const;

/** Rejects user input with too many elements. */
export function bounded(count: number, most: number, of: string, { mode, path }: Reading): void {
  if (mode === "strict" && count > most) throw malformed(path, `has ${count} ${of}, but ${most} at most are taken`);
}

/** Sets a key. Assigning to `__proto__` would change the object's prototype instead. */
export function setOwn(target: JsonObject, key: string, value: unknown): void {
  if (key !== "__proto__") target[key] = value;
  else Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true });
}

const toSnakeCase = (name: string) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

/** Maximum reported unknown fields: suggestions cost time for each, and nobody reads more. */
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
 * An object of known, optional fields. Accepts lowerCamelCase and snake_case names; returns lowerCamelCase in the order
 * of `fields`, without unset and default values. A nested object is kept even if empty.
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

  /** The value of a field by either of its names. */
  function fieldOf(input: JsonObject, { name, snake }: (typeof members)[number], reading: Reading): unknown {
    const value = input[name];
    if (snake === name) return value;
    const other = input[snake];
    if (other === undefined) return value;
    if (value === undefined) return other;
    throw malformed([...reading.path, name], `the field is given twice, as ${name} and as ${snake}`);
  }

  function* rootSteps(input: unknown, reading: Reading, beside: readonly string[]): Steps<ObjectOf<F>> {
    if (!isJsonObject(input)) throw mismatch(reading.path, "an object", input);
    const result: JsonObject = {};
    let present = 0;
    for (const member of members) {
      const { name, schema } = member;
      const value = fieldOf(input, member, reading);
      if (value !== undefined) present += 1;
      if (value === undefined || value === null) continue;
      reading.path.push(name);
      const read = schema.steps === undefined ? schema.read(value, reading) : yield* schema.steps(value, reading);
      reading.path.pop();
      if (!schema.isDefault(read)) result[name] = read;
    }
    if (Object.keys(input).length !== present) handleUnknown(input, result, reading, beside);
    // As in readRoot.
    return result as ObjectOf<F>;
  }

  function readRoot(input: unknown, reading: Reading, beside: readonly string[]): ObjectOf<F> {
    if (!isJsonObject(input)) throw mismatch(reading.path, "an object", input);
    const result: JsonObject = {};
    let present = 0;
    for (const member of members) {
      const { name, schema } = member;
      const value = fieldOf(input, member, reading);
      if (value !== undefined) present += 1;
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

  const hasSteps = members.some(({ schema }) => schema.steps !== undefined);
  return {
    readRoot,
    rootSteps,
    read: (input, reading) => readRoot(input, reading, none),
    shape: { kind: "object", fields: Object.fromEntries(members.map(({ name, schema }) => [name, schema.shape])) },
    ...(hasSteps ? { steps: (input: unknown, reading: Reading) => rootSteps(input, reading, none) } : {}),
    isDefault: () => false,
  };
}

/** A list without null elements; user input may have `most` elements. */
export function list<T>(element: Schema<T>, most: number = limits.others): Schema<readonly T[]> {
  function elements(input: unknown, reading: Reading): readonly unknown[] {
    if (!Array.isArray(input)) {
      throw mismatch(reading.path, "a list", input, 'start each element with "-" in YAML, or use [ ] in JSON');
    }
    bounded(input.length, most, "elements", reading);
    return input;
  }

  return {
    *steps(value, reading) {
      const result: T[] = [];
      for (const [index, member] of elements(value, reading).entries()) {
        yield;
        reading.path.push(index);
        if (member === null || member === undefined) throw mismatch(reading.path, "an element", member);
        result.push(
          element.steps === undefined ? element.read(member, reading) : yield* element.steps(member, reading),
        );
        reading.path.pop();
      }
      return result;
    },
    read(value, reading) {
      const input = elements(value, reading);
      const result: T[] = [];
      for (let index = 0; index < input.length; index++) {
        const member = input[index];
        reading.path.push(index);
        if (member === null || member === undefined) throw mismatch(reading.path, "an element", member);
        result.push(element.read(member, reading));
        reading.path.pop();
      }
      return result;
    },
    isDefault: (value) => value.length === 0,
    shape: { kind: "list", element: element.shape },
  };
}

/**
 * A map with any keys, in the order written; user input may have `most` entries. Keys such as `__proto__` are not
 * special.
 */
export function map<T>(value: Schema<T>, most: number = limits.others): Schema<Readonly<Record<string, T>>> {
  return {
    read(input, reading) {
      if (!isJsonObject(input)) throw mismatch(reading.path, "an object of keys and values", input);
      const result: Record<string, T> = {};
      const keys = Object.keys(input);
      bounded(keys.length, most, "keys", reading);
      for (const key of keys) {
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
    shape: { kind: "map", value: value.shape },
  };
}

interface Decoded<T> {
  readonly value: T;
  readonly unknown: Cause[];
}

interface DecodeOptions {
  /** Keys of the root object that are read elsewhere: neither unknown nor part of the value. */
  readonly beside?: readonly string[];
}

/**
 * Reads a document in proto3 JSON into its normal form, which is what is stored, returned and used: lowerCamelCase
 * names; unset and default scalars, empty lists and empty maps omitted; given objects kept; 64-bit integers as text;
 * durations and timestamps in one spelling. The input is neither modified nor retained.
 *
 * In strict mode unknown fields are returned as causes (the first 100), in lenient mode they stay in the value
 * unchanged.
 * @throws UserError("resource.malformed") for a value of the wrong JSON type: its message has the path, the expected
 * and the actual value; its only cause has the path as its field.
 */
export function decode<T>(
  schema: ObjectSchema<T>,
  input: unknown,
  mode: Mode,
  { beside = [] }: DecodeOptions = {},
): Decoded<T> {
  const reading: Reading = { mode, path: [], unknown: [] };
  const value = schema.readRoot(input, reading, beside);
  return { value, unknown: reading.unknown };
}

/** Like `decode`, in steps, for large documents. */
export function* decodeInSteps<T>(
  schema: ObjectSchema<T>,
  input: unknown,
  mode: Mode,
  { beside = [] }: DecodeOptions = {},
): Steps<Decoded<T>> {
  const reading: Reading = { mode, path: [], unknown: [] };
  const value = yield* schema.rootSteps(input, reading, beside);
  return { value, unknown: reading.unknown };
}
