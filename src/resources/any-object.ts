import { isJsonObject } from "../lib/json.js";
import { malformed, mismatch } from "./malformed.js";
import { type Reading, type Schema, setOwn } from "./schema.js";

/** Limits of an object: its content is opaque, but it is serialized recursively. */
interface Bounds {
  readonly deepest: number;
  readonly largest: number;
}

interface Size extends Bounds {
  /** Length of the path to the object itself, which the error names. */
  readonly start: number;
  depth: number;
  values: number;
}

function copy(input: unknown, reading: Reading, size: Size): unknown {
  const { path } = reading;
  size.values += 1;
  // YAML aliases may repeat a large value many times, or be circular.
  if (size.values > size.largest)
    throw malformed(path.slice(0, size.start), `the object has more than ${size.largest} values`);
  if (size.depth > size.deepest) {
    throw malformed(path.slice(0, size.start), `the object is nested deeper than ${size.deepest} levels`);
  }
  size.depth += 1;
  let result: unknown = input;
  if (Array.isArray(input)) {
    result = input.map((member: unknown, index) => {
      path.push(index);
      const read = copy(member, reading, size);
      path.pop();
      return read;
    });
  } else if (isJsonObject(input)) {
    const members = {};
    for (const key of Object.keys(input)) {
      path.push(key);
      setOwn(members, key, copy(input[key], reading, size));
      path.pop();
    }
    result = members;
  } else if (input !== null && typeof input !== "string" && typeof input !== "boolean" && !Number.isFinite(input)) {
    throw mismatch(path, "a JSON value", input);
  }
  size.depth -= 1;
  return result;
}

/** An opaque object, stored and returned unchanged; YAML aliases are expanded into copies. */
export function anyObject(
  { deepest, largest }: Bounds = { deepest: 32, largest: 10_000 },
): Schema<Readonly<Record<string, unknown>>> {
  return {
    read(input, reading) {
      if (!isJsonObject(input)) throw mismatch(reading.path, "an object", input);
      const size = { deepest, largest, start: reading.path.length, depth: 0, values: 0 };
      return copy(input, reading, size) as Record<string, unknown>;
    },
    isDefault: () => false,
    shape: { kind: "value", expected: "an object with any content" },
  };
}
