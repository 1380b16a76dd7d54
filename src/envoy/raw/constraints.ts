import { type DescExtension, type DescField, type DescMessage, getOption, type Message } from "@bufbuild/protobuf";
import { isReflectMessage, type ReflectMessage, reflect } from "@bufbuild/protobuf/reflect";
import { type Any, anyUnpack, FeatureSet_FieldPresence } from "@bufbuild/protobuf/wkt";
import { pathText, quoted, type Step } from "../../resources/path.js";
import { type EnvoyApi, hasFields } from "./api.js";
import { type RawProblem, reported } from "./tree.js";

/** The fields that are set in a protoc-gen-validate rule, by name. */
interface Rule {
  readonly [name: string]: unknown;
}

/** Returns what is wrong with a value; undefined when it is valid. */
type Check = (value: unknown) => string | undefined;

/** The constraints of one field. */
interface Rules {
  /** Whether it must be set. */
  readonly required: boolean;
  /** Checks the field as a whole: its number of elements. */
  readonly size: Check;
  /** Check each value, and each key of a map. */
  readonly value: Check;
  readonly key: Check;
}

const fine: Check = () => undefined;

function plain(rule: ReflectMessage): Rule {
  const result: Record<string, unknown> = {};
  for (const field of rule.fields) {
    if (!rule.isSet(field)) continue;
    const value = rule.get(field);
    if (field.fieldKind === "list") result[field.name] = [...(value as Iterable<unknown>)];
    else if (!isReflectMessage(value)) result[field.name] = value;
    else result[field.name] = hasFields(value.desc) ? plain(value) : value.message;
  }
  return result;
}

/** Makes numbers of all types comparable; a duration is converted to seconds. */
function numberOf(value: unknown): number | bigint | undefined {
  if (typeof value === "number" || typeof value === "bigint") return value;
  if (typeof value !== "object" || value === null || !("seconds" in value) || !("nanos" in value)) return undefined;
  return Number(value.seconds) + Number(value.nanos) / 1e9;
}

const comparisons = [
  ["gt", "has to be more than", (a: number | bigint, b: number | bigint) => a > b],
  ["gte", "has to be at least", (a: number | bigint, b: number | bigint) => a >= b],
  ["lt", "has to be less than", (a: number | bigint, b: number | bigint) => a < b],
  ["lte", "has to be at most", (a: number | bigint, b: number | bigint) => a <= b],
] as const;

function inBounds(rule: Rule, unit: string): Check {
  return (value) => {
    const number = numberOf(value);
    if (number === undefined) return undefined;
    for (const [name, words, holds] of comparisons) {
      const bound = numberOf(rule[name]);
      if (bound !== undefined && !holds(number, bound)) return `${words} ${bound}${unit}`;
    }
    return undefined;
  };
}

/** Minimum and maximum of a count. */
function counted(rule: Rule, least: string, most: string, noun: string, count: (value: unknown) => number): Check {
  const [min, max] = [Number(rule[least] ?? 0), Number(rule[most] ?? Number.POSITIVE_INFINITY)];
  return (value) => {
    const number = count(value);
    if (number < min) return min === 1 ? "cannot be empty" : `has to have at least ${min} ${noun}`;
    return number > max ? `can't have more than ${max} ${noun}` : undefined;
  };
}

const characters = (value: unknown) => (typeof value === "string" ? [...value].length : 0);
const utf8 = new TextEncoder();
const bytes = (value: unknown) => (typeof value === "string" ? utf8.encode(value).length : 0);
const length = (value: unknown) => (value instanceof Uint8Array ? value.length : 0);
const elements = (value: unknown) => [...(value as Iterable<unknown>)].length;

function text(rule: Rule): Check {
  const checks = [
    counted(rule, "min_len", "max_len", "characters", characters),
    counted(rule, "min_bytes", "max_bytes", "bytes", bytes),
  ];
  const { in: known } = rule;
  if (Array.isArray(known)) {
    const names = known.map((name) => quoted(String(name))).join(", ");
    checks.push((value) => (known.includes(value) ? undefined : `has to be one of ${names}`));
  }
  const check: Check = (value) => checks.map((one) => one(value)).find((problem) => problem !== undefined);
  return rule.ignore_empty === true ? (value) => (value === "" ? undefined : check(value)) : check;
}

function names(rule: Rule, field: Pick<DescField, "enum">): Check {
  const { not_in: refused } = rule;
  const nameOf = (value: unknown) => field.enum?.values.find(({ number }) => number === value)?.name;
  return (value) => {
    if (rule.defined_only === true && nameOf(value) === undefined) return `${value} is no value of ${field.enum?.name}`;
    return Array.isArray(refused) && refused.includes(value) ? `can't be ${nameOf(value) ?? value}` : undefined;
  };
}

const numeric = [
  ...["float", "double", "int32", "int64", "uint32", "uint64", "sint32", "sint64"],
  ...["fixed32", "fixed64", "sfixed32", "sfixed64"],
];

/** The simple rules for one value; Envoy checks patterns and formats itself. */
function valueCheck(rules: Rule, field: Pick<DescField, "enum">): Check {
  const rule = (name: string) => rules[name] as Rule | undefined;
  const [string, named, duration, bool, raw] = ["string", "enum", "duration", "bool", "bytes"].map(rule);
  if (string !== undefined) return text(string);
  if (named !== undefined) return names(named, field);
  if (duration !== undefined) return inBounds(duration, "s");
  if (raw !== undefined) return counted(raw, "min_len", "max_len", "bytes", length);
  if (bool?.const !== undefined) return (value) => (value === bool.const ? undefined : `has to be ${bool.const}`);
  const number = numeric.map(rule).find((found) => found !== undefined);
  if (number === undefined) return fine;
  const check = inBounds(number, "");
  return number.ignore_empty === true ? (value) => (Number(value) === 0 ? undefined : check(value)) : check;
}

function compile(rules: Rule, field: DescField): Rules {
  const part = (name: string) => (rules[name] ?? {}) as Rule;
  const required = ["message", "any", "duration", "timestamp"].some((name) => part(name).required === true);
  switch (field.fieldKind) {
    case "list": {
      const { items = {} } = part("repeated");
      const size = counted(part("repeated"), "min_items", "max_items", "elements", elements);
      return { required, size, value: valueCheck(items as Rule, field), key: fine };
    }
    case "map": {
      const { keys = {}, values = {} } = part("map");
      const size = counted(part("map"), "min_pairs", "max_pairs", "keys", elements);
      return {
        required,
        size,
        value: valueCheck(values as Rule, field),
        key: valueCheck(keys as Rule, { enum: undefined }),
      };
    }
    default:
      return { required, size: fine, value: valueCheck(rules, field), key: fine };
  }
}

const compiled = new WeakMap<DescField, Rules>();

function rulesOf(extension: DescExtension, field: DescField): Rules {
  let rules = compiled.get(field);
  if (rules === undefined) {
    const option = getOption(field, extension);
    rules = compile(extension.message === undefined ? {} : plain(reflect(extension.message, option as Message)), field);
    compiled.set(field, rules);
  }
  return rules;
}

/** A wrapper such as UInt32Value is validated as its value. */
function unwrapped(value: unknown): unknown {
  if (!isReflectMessage(value)) return value;
  const { message, desc } = value;
  return /^google\.protobuf\.\w+Value$/.test(desc.typeName) && "value" in message ? message.value : message;
}

/**
 * Finds what Envoy would reject in a message by the simple protoc-gen-validate rules: lengths, bounds, enum values
 * and required fields. Patterns, formats and what the rules can't express are left to Envoy.
 */
export function violations({ registry }: EnvoyApi, type: DescMessage, root: Message): readonly RawProblem[] {
  const [fieldRules, oneofRequired] = [
    registry.getExtension("validate.rules"),
    registry.getExtension("validate.required"),
  ];
  if (fieldRules === undefined || oneofRequired === undefined) throw new Error("Envoy's descriptors have no rules");
  const extension = fieldRules;
  const required = oneofRequired;
  const problems: RawProblem[] = [];
  const path: Step[] = [];

  function check(problem: string | undefined, ...steps: readonly Step[]): void {
    if (problem === undefined || problems.length >= reported) return;
    problems.push({ field: pathText([...path, ...steps]), message: problem, newer: true });
  }

  function single(value: unknown, rule: Check, step: Step): void {
    check(rule(unwrapped(value)), step);
    if (!isReflectMessage(value)) return;
    path.push(step);
    if (hasFields(value.desc)) message(value);
    else if (value.desc.typeName === "google.protobuf.Any") {
      const packed = value.message as Any;
      const unpacked = anyUnpack(packed, registry);
      const inside = unpacked && registry.getMessage(unpacked.$typeName);
      if (inside !== undefined && hasFields(inside)) message(reflect(inside, unpacked));
    }
    path.pop();
  }

  function message(read: ReflectMessage): void {
    for (const oneof of read.oneofs) {
      if (read.oneofCase(oneof) !== undefined || getOption(oneof, required) !== true) continue;
      check(`needs one of ${oneof.fields.map(({ jsonName }) => `"${jsonName}"`).join(", ")}`);
    }
    for (const field of read.fields) {
      const rules = rulesOf(extension, field);
      const isSet = read.isSet(field);
      if (rules.required && !isSet && field.oneof === undefined) check("has to be set", field.jsonName);
      // An absent field is only validated if its absence can't be distinguished from zero.
      const hasValue = isSet || field.presence === FeatureSet_FieldPresence.IMPLICIT;
      if (hasValue) fieldValue(field, read.get(field), rules);
    }
  }

  function fieldValue(field: DescField, value: unknown, rules: Rules): void {
    switch (field.fieldKind) {
      case "list":
        check(rules.size(value), field.jsonName);
        path.push(field.jsonName);
        [...(value as Iterable<unknown>)].forEach((element, index) => void single(element, rules.value, index));
        path.pop();
        break;
      case "map":
        check(rules.size(value), field.jsonName);
        path.push(field.jsonName);
        for (const [key, element] of value as Iterable<readonly [unknown, unknown]>) {
          check(rules.key(key), { key: String(key) });
          single(element, rules.value, { key: String(key) });
        }
        path.pop();
        break;
      default:
        single(value, rules.value, field.jsonName);
    }
  }

  message(reflect(type, root));
  return problems;
}
