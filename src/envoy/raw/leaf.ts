import { type DescEnum, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { isJsonObject } from "../../lib/json.js";
import { nearest } from "../../lib/suggest.js";
import { describe } from "../../resources/malformed.js";
import { quoted } from "../../resources/path.js";

/** Returns what is wrong with the JSON value of a scalar or well-known type; undefined when it is valid. */
type Check = (value: unknown) => string | undefined;

const expected = (what: string, value: unknown) => `expected ${what}, got ${describe(value)}`;

const is =
  (what: string, holds: (value: unknown) => boolean): Check =>
  (value) =>
    holds(value) ? undefined : expected(what, value);

const integerText = /^-?[0-9]{1,20}$/;

/** Integers are JSON numbers or strings; proto3 JSON uses strings for 64 bits. */
function wholeNumber(least: bigint, most: bigint): Check {
  return is(`a whole number from ${least} to ${most}`, (value) => {
    if (typeof value === "string" && !integerText.test(value)) return false;
    if (typeof value === "number" ? !Number.isInteger(value) : typeof value !== "string") return false;
    const number = BigInt(value as string | number);
    return number >= least && number <= most;
  });
}

const text = is("text", (value) => typeof value === "string" && value.isWellFormed());
const flag = is("true or false", (value) => typeof value === "boolean");
const int32 = wholeNumber(-(2n ** 31n), 2n ** 31n - 1n);
const uint32 = wholeNumber(0n, 2n ** 32n - 1n);
const int64 = wholeNumber(-(2n ** 63n), 2n ** 63n - 1n);
const uint64 = wholeNumber(0n, 2n ** 64n - 1n);
const float = is("a number", (value) => {
  if (typeof value === "number") return true;
  return typeof value === "string" && /^(?:-?Infinity|NaN|-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)$/.test(value);
});
const base64 = is(
  "bytes as base64 text",
  (value) => typeof value === "string" && /^[A-Za-z0-9+/_-]*={0,2}$/.test(value),
);

const scalars: Readonly<Record<ScalarType, Check>> = {
  [ScalarType.DOUBLE]: float,
  [ScalarType.FLOAT]: float,
  [ScalarType.INT64]: int64,
  [ScalarType.UINT64]: uint64,
  [ScalarType.INT32]: int32,
  [ScalarType.FIXED64]: uint64,
  [ScalarType.FIXED32]: uint32,
  [ScalarType.BOOL]: flag,
  [ScalarType.STRING]: text,
  [ScalarType.BYTES]: base64,
  [ScalarType.UINT32]: uint32,
  [ScalarType.SFIXED32]: int32,
  [ScalarType.SFIXED64]: int64,
  [ScalarType.SINT32]: int32,
  [ScalarType.SINT64]: int64,
};

const anObject = is("an object", isJsonObject);

const wellKnown: Readonly<Record<string, Check>> = {
  "google.protobuf.Duration": is(
    'a duration in seconds such as "5s" or "0.25s"',
    (value) => typeof value === "string" && /^-?[0-9]{1,12}(?:\.[0-9]{1,9})?s$/.test(value),
  ),
  "google.protobuf.Timestamp": is(
    'a time such as "2019-10-24T14:04:56.820Z"',
    (value) => typeof value === "string" && /^[0-9]{4}-[0-9]{2}-[0-9]{2}T/.test(value),
  ),
  "google.protobuf.FieldMask": text,
  "google.protobuf.Struct": anObject,
  "google.protobuf.Empty": anObject,
  "google.protobuf.ListValue": is("a list", Array.isArray),
  "google.protobuf.Value": () => undefined,
  "google.protobuf.DoubleValue": float,
  "google.protobuf.FloatValue": float,
  "google.protobuf.Int64Value": int64,
  "google.protobuf.UInt64Value": uint64,
  "google.protobuf.Int32Value": int32,
  "google.protobuf.UInt32Value": uint32,
  "google.protobuf.BoolValue": flag,
  "google.protobuf.StringValue": text,
  "google.protobuf.BytesValue": base64,
};

export function scalarProblem(type: ScalarType, value: unknown): string | undefined {
  return scalars[type](value);
}

/** Validates a type for which `hasFields` is false, except Any. */
export function wellKnownProblem({ typeName }: DescMessage, value: unknown): string | undefined {
  return wellKnown[typeName]?.(value);
}

export function enumProblem({ values, typeName }: DescEnum, value: unknown): string | undefined {
  if (typeName === "google.protobuf.NullValue" && value === null) return undefined;
  if (typeof value === "number" && int32(value) === undefined) return undefined;
  if (typeof value !== "string") return expected("a name in upper case", value);
  const names = values.map(({ name }) => name);
  if (names.includes(value)) return undefined;
  const meant = nearest(value, names);
  const known = names.length > 12 ? "" : `; known are: ${names.join(", ")}`;
  return `unknown value ${quoted(value)}${meant === undefined ? known : `; did you mean ${quoted(meant)}?`}`;
}
