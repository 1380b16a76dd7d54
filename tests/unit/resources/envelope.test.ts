import * as assert from "uvu/assert";
import { fromJson, readEnvelope, toJson } from "../../../src/resources/envelope.js";
import { nameCauses } from "../../../src/resources/name.js";
import { suite } from "../../support/suite.js";
import { malformedMessage, typeOf } from "./reading.js";

const test = suite("envelope");

test("type, mesh and name come first, and a Mesh has no mesh", () => {
  const spec = { networking: {} };
  const dataplane = { spec, name: "n", mesh: "m", type: "Dataplane" };
  assert.is(JSON.stringify(toJson(dataplane)), '{"type":"Dataplane","mesh":"m","name":"n","networking":{}}');
  assert.is(JSON.stringify(toJson({ type: "Mesh", mesh: "m", name: "m", spec: {} })), '{"type":"Mesh","name":"m"}');
  assert.equal(toJson({ type: "Secret", mesh: "", name: "key", spec: {} }), { type: "Secret", name: "key" });
});

test("a missing, null or empty key is undefined", () => {
  assert.equal(readEnvelope({ type: null, name: "" }), { type: undefined, mesh: undefined, name: undefined });
});

const refusals: readonly [document: unknown, message: string][] = [
  [null, "expected an object, got nothing (null)"],
  ["text", 'expected an object, got the text "text"'],
  [[{}], "expected an object, got a list"],
  [{ name: 1 }, "name: expected text, got the number 1; put the value in quotes"],
  [{ type: {} }, "type: expected text, got an object"],
  [{ mesh: true }, "mesh: expected text, got true; put the value in quotes"],
];

for (const [document, message] of refusals) {
  test(`refused: ${message}`, () => {
    assert.is(
      malformedMessage(() => readEnvelope(document)),
      message,
    );
    assert.is(
      malformedMessage(() => fromJson(typeOf("Mesh"), document, "strict")),
      message,
    );
  });
}

test("the envelope is not part of the spec, and the caller validates it", () => {
  const read = fromJson(typeOf("Mesh"), { type: "Dataplane", mesh: "x", name: "y", tracing: {} }, "strict");
  assert.equal(read, {
    envelope: { type: "Dataplane", mesh: "x", name: "y" },
    spec: { tracing: {} },
    unknown: [],
  });
});

test("misspelt keys are reported with a suggestion", () => {
  const misspelt: readonly [key: string, meant: string][] = [
    ["loging", "logging"],
    ["nmae", "name"],
    ["Logging", "logging"],
    ["mTLS", "mtls"],
  ];
  for (const [key, meant] of misspelt) {
    const { unknown } = fromJson(typeOf("Mesh"), { type: "Mesh", name: "m", [key]: {} }, "strict");
    assert.equal(unknown, [{ field: key, message: `unknown field; did you mean "${meant}"?` }]);
  }
});

const characters = "invalid characters; numbers, lowercase latin letters and '-', '_' are valid";
const length = "cannot be longer than 100 characters";

const names: readonly [mesh: string, name: string, causes: readonly (readonly [string, string])[]][] = [
  ["default", "a-b_9", []],
  ["m".repeat(100), "n".repeat(100), []],
  [
    "Bad$",
    "Bad$",
    [
      ["name", characters],
      ["mesh", characters],
    ],
  ],
  ["m", "a.b", [["name", characters]]],
  ["m", "é", [["name", characters]]],
  ["m", "a\n", [["name", characters]]],
  ["m", "__proto__", []],
  ["m".repeat(101), "n", [["mesh", length]]],
  [
    "m",
    "N".repeat(101),
    [
      ["name", characters],
      ["name", length],
    ],
  ],
];

for (const [mesh, name, causes] of names) {
  test(`name ${JSON.stringify(name.slice(0, 12))} in mesh ${JSON.stringify(mesh.slice(0, 12))}`, () => {
    assert.equal(
      nameCauses({ mesh, name }).map(({ field, message }) => [field, message]),
      causes,
    );
  });
}

test.run();
