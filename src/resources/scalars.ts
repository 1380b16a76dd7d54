import { normalDuration } from "./duration.js";
import { malformed, mismatch } from "./malformed.js";
import { bounded, type Schema } from "./schema.js";
import { normalTimestamp } from "./timestamp.js";

/** In YAML an unquoted text may be read as a number, which may have lost its zeros. */
const quotes = "put the value in quotes";

interface TextOptions {
  /** The hint for an object or a list in place of text. */
  readonly hint?: string;
  /** Maximum length of user input, in characters. */
  readonly longest?: number;
}

export function text({ hint, longest = Number.POSITIVE_INFINITY }: TextOptions = {}): Schema<string> {
  return {
    read(input, reading) {
      const { path } = reading;
      if (typeof input !== "string") {
        const scalar = typeof input === "number" || typeof input === "boolean";
        throw mismatch(path, "text", input, scalar ? quotes : hint);
      }
      if (!input.isWellFormed()) throw malformed(path, "the text is not valid Unicode");
      bounded(input.length, longest, "characters", reading);
      return input;
    },
    isDefault: (value) => value === "",
    shape: { kind: "value", expected: "text" },
  };
}

export function flag(): Schema<boolean> {
  return {
    read(input, { path }) {
      if (typeof input === "boolean") return input;
      const quotedFlag = input === "true" || input === "false";
      throw mismatch(path, "true or false", input, quotedFlag ? "remove the quotes" : undefined);
    },
    isDefault: (value) => !value,
    shape: { kind: "value", expected: "true or false" },
  };
}

const digits = /^[0-9]{1,20}$/;
const uint32Max = 2 ** 32 - 1;
const uint64Max = 2n ** 64n - 1n;

/** Accepts a JSON number or its digits as text; returns a number. */
export function uint32(): Schema<number> {
  const expected = `a whole number from 0 to ${uint32Max}`;
  return {
    read(input, { path }) {
      const value = typeof input === "string" && digits.test(input) ? Number(input) : input;
      if (typeof value !== "number" || !Number.isInteger(value) || value < 0 || value > uint32Max) {
        throw mismatch(path, expected, input);
      }
      // Normalizes minus zero, which would not survive JSON.
      return value + 0;
    },
    isDefault: (value) => value === 0,
    shape: { kind: "value", expected: "a whole number" },
  };
}

/** Accepts digits as text or a JSON number; returns text, because a JSON number can't hold all 64 bits. */
export function uint64(): Schema<string> {
  const expected = `a whole number from 0 to ${uint64Max}`;
  return {
    read(input, { path }) {
      if (typeof input === "string" && digits.test(input)) {
        const value = BigInt(input);
        if (value <= uint64Max) return String(value);
      } else if (typeof input === "number" && Number.isSafeInteger(input) && input >= 0) {
        return String(input + 0);
      }
      const inexact = typeof input === "number" && Number.isInteger(input) && input > 0;
      throw mismatch(path, expected, input, inexact ? quotes : undefined);
    },
    isDefault: (value) => value === "0",
    shape: { kind: "value", expected: "a whole number, as a string" },
  };
}

/**
 * Accepts seconds ("10s", "0.5s") and Go's other units ("1m30s", "300ms"); returns seconds with 0, 3, 6 or 9 decimals.
 * A duration beyond protobuf's range stays as written: the type's validation rejects it.
 */
export function duration(): Schema<string> {
  return {
    read(input, { path }) {
      const normal = typeof input === "string" ? normalDuration(input) : undefined;
      if (normal === undefined) throw mismatch(path, 'a duration such as "10s", "0.5s" or "1m30s"', input);
      return normal;
    },
    // In protobuf a duration is a message: a given one is kept, even zero.
    isDefault: () => false,
    shape: { kind: "value", expected: 'a duration such as "10s"' },
  };
}

/** Accepts RFC 3339 with any offset; returns UTC with 0, 3, 6 or 9 decimals. */
export function timestamp(): Schema<string> {
  return {
    read(input, { path }) {
      const normal = typeof input === "string" ? normalTimestamp(input) : undefined;
      if (normal === undefined) throw mismatch(path, 'a time such as "2019-10-24T14:04:56.820Z"', input);
      return normal;
    },
    isDefault: () => false,
    shape: { kind: "value", expected: 'a time such as "2019-10-24T14:04:56Z"' },
  };
}

const base64 = /^[A-Za-z0-9+/_-]*={0,2}$/;

/** Accepts base64 in either alphabet, padded or not; returns the standard alphabet with padding. */
export function bytes(): Schema<string> {
  return {
    read(input, { path }) {
      // The value is usually a secret, so the error must not repeat it.
      if (typeof input !== "string" || !base64.test(input)) throw malformed(path, "expected bytes as base64 text");
      return Buffer.from(input, "base64").toString("base64");
    },
    isDefault: (value) => value === "",
    shape: { kind: "value", expected: "bytes in base64" },
  };
}
