import { normalDuration } from "./duration.js";
import { malformed, mismatch } from "./malformed.js";
import { bounded, type Schema } from "./schema.js";
import { normalTimestamp } from "./timestamp.js";

/** The only number a text is mistaken for in YAML is one without quotes; the number itself may have lost its zeros. */
const quotes = "put the value in quotes";

interface TextOptions {
  /** What to do about an object or a list in the place of the text. */
  readonly hint?: string;
  /** Characters that a user may hand in. */
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
  };
}

const digits = /^[0-9]{1,20}$/;
const uint32Max = 2 ** 32 - 1;
const uint64Max = 2n ** 64n - 1n;

/** Takes a JSON number or its digits as text, gives a number. */
export function uint32(): Schema<number> {
  const expected = `a whole number from 0 to ${uint32Max}`;
  return {
    read(input, { path }) {
      const value = typeof input === "string" && digits.test(input) ? Number(input) : input;
      if (typeof value !== "number" || !Number.isInteger(value) || value < 0 || value > uint32Max) {
        throw mismatch(path, expected, input);
      }
      // Minus zero would not survive JSON.
      return value + 0;
    },
    isDefault: (value) => value === 0,
  };
}

/** Takes digits as text or a JSON number, gives text: a JSON number can't hold all of them. */
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
  };
}

/**
 * Takes seconds ("10s", "0.5s") and Go's other units ("1m30s", "300ms"), gives seconds with 0, 3, 6 or 9 decimals. What
 * is longer than a protobuf duration can be stays as written: that is for the type's validation to refuse.
 */
export function duration(): Schema<string> {
  return {
    read(input, { path }) {
      const normal = typeof input === "string" ? normalDuration(input) : undefined;
      if (normal === undefined) throw mismatch(path, 'a duration such as "10s", "0.5s" or "1m30s"', input);
      return normal;
    },
    // A duration is a message in protobuf: one that was given is kept, zero included.
    isDefault: () => false,
  };
}

/** Takes RFC 3339 with any offset, gives UTC with 0, 3, 6 or 9 decimals. */
export function timestamp(): Schema<string> {
  return {
    read(input, { path }) {
      const normal = typeof input === "string" ? normalTimestamp(input) : undefined;
      if (normal === undefined) throw mismatch(path, 'a time such as "2019-10-24T14:04:56.820Z"', input);
      return normal;
    },
    isDefault: () => false,
  };
}

const base64 = /^[A-Za-z0-9+/_-]*={0,2}$/;

/** Takes base64 of either alphabet, padded or not; gives the standard one with padding. */
export function bytes(): Schema<string> {
  return {
    read(input, { path }) {
      // What was read is a secret more often than not, so that the error must not repeat it.
      if (typeof input !== "string" || !base64.test(input)) throw malformed(path, "expected bytes as base64 text");
      return Buffer.from(input, "base64").toString("base64");
    },
    isDefault: (value) => value === "",
  };
}
