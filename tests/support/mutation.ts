import type { Random } from "./random.js";

const oddValues: readonly string[] = [
  ...[
    "null",
    '""',
    '"x"',
    '"*"',
    "0",
    "-0",
    "1",
    "-1",
    "1.5",
    "1e400",
    "9007199254740993",
    "true",
    "false",
    "[]",
    "{}",
  ],
  ...["[null]", "[[]]", '{"":""}', '"10s"', '"-1s"', '"18446744073709551615"', '"\\ud800"', '"\\u0000"', '"__proto__"'],
  ...['{"__proto__":"x","constructor":{}}', '{"service":"web"}', '{"match":{}}', '"127.0.0.1:80:81"', '":99999"'],
  ...['"@type: x"', '"a: &a [*a]"', '"%KUMA_%"', `"${"é".repeat(300)}"`, `${"[".repeat(200)}${"]".repeat(200)}`],
];
const oddKeys = [
  "__proto__",
  "constructor",
  "toString",
  "",
  "a b",
  "networkin",
  "conf",
  "rules",
  "spec",
  "type",
  "mesh",
];

const snakeCase = (key: string) => key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

/** The JSON text of the value with a few parts replaced, removed, renamed, repeated or added. */
export function mutatedJson(value: unknown, random: Random): string {
  if (random.chance(0.03)) return random.pick(oddValues);
  if (Array.isArray(value)) {
    const members = value.map((member) => mutatedJson(member, random));
    return `[${(random.chance(0.08) ? [...members, ...members] : members).join()}]`;
  }
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const entries = Object.entries(value).map(
    ([key, member]) => `${JSON.stringify(random.chance(0.08) ? snakeCase(key) : key)}:${mutatedJson(member, random)}`,
  );
  if (random.chance(0.03)) entries.push(`${JSON.stringify(random.pick(oddKeys))}:${random.pick(oddValues)}`);
  if (random.chance(0.02)) entries.pop();
  return `{${entries.join()}}`;
}

/** Bytes that are most likely not valid JSON: truncated, doubled or with bytes replaced. */
export function damaged(text: string, random: Random): Buffer {
  const bytes = Buffer.from(text);
  if (random.chance(0.3)) return bytes.subarray(0, random.below(bytes.length + 1));
  if (random.chance(0.2)) return Buffer.concat([bytes, bytes]);
  const copy = Buffer.from(bytes);
  for (let times = 1 + random.below(3); times > 0; times--) copy[random.below(copy.length)] = random.below(256);
  return copy;
}
