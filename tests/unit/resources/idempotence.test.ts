import { isDeepStrictEqual } from "node:util";
import * as assert from "uvu/assert";
import { UserError } from "../../../src/lib/errors.js";
import { fromJson, toJson } from "../../../src/resources/envelope.js";
import { contentOf, type ProxyTemplate } from "../../../src/resources/proxy-template.js";
import type { Mode } from "../../../src/resources/schema.js";
import { type Random, runSeed, seeded } from "../../support/random.js";
import { suite } from "../../support/suite.js";
import { examples } from "./examples.js";
import { typeOf } from "./reading.js";

const test = suite("idempotence");

const oddValues: readonly unknown[] = [
  null,
  "",
  "x",
  "*",
  0,
  -0,
  1,
  -1,
  1.5,
  2 ** 53,
  1e21,
  true,
  false,
  [],
  {},
  [null],
  [[]],
  { "": "" },
  "10s",
  "-1s",
  "1m",
  "7",
  "2020-02-30T00:00:00Z",
  "2020-02-28T00:00:00.5+01:00",
  "18446744073709551615",
  "c2V",
  "\ud800",
  "\u0000",
  "%",
  "__proto__",
  "é".repeat(300),
  JSON.parse('{"__proto__":"x","constructor":{}}'),
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
  "name",
  "default_backend",
];

/** The value with a few of its parts replaced, removed, renamed or added. */
function mutate(value: unknown, random: Random): unknown {
  if (random.chance(0.04)) return structuredClone(random.pick(oddValues));
  if (Array.isArray(value)) {
    const members = value.map((member) => mutate(member, random));
    return random.chance(0.1) ? [...members, ...members] : members;
  }
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).map(([key, member]): [string, unknown] => {
    const name = random.chance(0.1) ? key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`) : key;
    return [name, mutate(member, random)];
  });
  if (random.chance(0.05)) entries.push([random.pick(oddKeys), structuredClone(random.pick(oddValues))]);
  if (random.chance(0.03)) entries.pop();
  return Object.fromEntries(entries);
}

function readOrRefuse(document: Record<string, unknown>, typeName: string, mode: Mode) {
  try {
    return fromJson(typeOf(typeName), document, mode);
  } catch (error) {
    if (error instanceof UserError && error.id === "resource.malformed") return undefined;
    throw error;
  }
}

test("reading, writing and reading again gives the same value, for mutations of every example", () => {
  const random = seeded(runSeed);
  let accepted = 0;
  for (let round = 0; round < 20_000; round++) {
    const example = random.pick(examples);
    const typeName = String(example.type);
    const mutant = { ...(mutate(example, random) as object), type: typeName, mesh: "m", name: "n" };
    // As sent: without minus zero, which JSON cannot represent.
    const document: Record<string, unknown> = JSON.parse(JSON.stringify(mutant));
    const place = `seed ${runSeed}, round ${round}: ${JSON.stringify(document)}`;
    const mode = random.pick(["strict", "lenient"] as const);
    const first = readOrRefuse(document, typeName, mode);
    if (first === undefined) continue;
    const type = typeOf(typeName);
    const text = (spec: unknown) => JSON.stringify(toJson({ type: typeName, mesh: "m", name: "n", spec }));
    const written = text(first.spec);
    const second = fromJson(type, JSON.parse(written), mode);
    assert.is(text(second.spec), written, place);
    const spec = type.defaults(first.spec);
    const causes = type.validate(spec);
    if (causes.length === 0) accepted += 1;
    const third = fromJson(type, JSON.parse(text(spec)), mode);
    // uvu's own comparison reads a key named constructor as the object's class.
    assert.ok(isDeepStrictEqual(third.spec, spec), place);
    assert.ok(isDeepStrictEqual(type.defaults(third.spec), spec), place);
    assert.equal(type.validate(third.spec), causes, place);
    assert.equal([...second.unknown, ...third.unknown], [], place);
  }
  // Otherwise the test would prove little.
  assert.ok(accepted > 2000, `only ${accepted} documents were accepted, seed ${runSeed}`);
});

test("the content of a ProxyTemplate is that of both layouts, the flat one first", () => {
  const a = { name: "a" };
  const b = { name: "b" };
  const spec: ProxyTemplate = { imports: ["x"], resources: [a], conf: { imports: ["y"], resources: [b] } };
  assert.equal(contentOf(spec), { imports: ["x", "y"], resources: [a, b] });
  assert.equal(contentOf({}), { imports: [], resources: [] });
});

test.run();
