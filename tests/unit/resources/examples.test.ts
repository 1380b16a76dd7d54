import * as assert from "uvu/assert";
import { fromJson, toJson } from "../../../src/resources/envelope.js";
import { registry } from "../../../src/resources/registry.js";
import { suite } from "../../support/suite.js";
import { examples } from "./examples.js";
import { read, typeOf } from "./reading.js";

const test = suite("examples of every type");

for (const example of examples) {
  test(`${example.type} ${example.name} is valid and reads back as it was written`, () => {
    const { spec, unknown, causes } = read(example);
    assert.equal(unknown, []);
    assert.equal(causes, []);
    const resource = {
      type: String(example.type),
      mesh: String(example.mesh),
      name: String(example.name),
      spec,
    };
    assert.equal(toJson(resource), example);
  });
}

test("there is an example of every type", () => {
  const shown = new Set(examples.map(({ type }) => type));
  assert.equal(
    registry.types.map(({ name }) => name).filter((name) => !shown.has(name)),
    [],
  );
});

test("a document may come from an object without a prototype", () => {
  const bare = Object.assign(Object.create(null), examples[1]);
  assert.equal(fromJson(typeOf("Dataplane"), bare, "strict").unknown, []);
});

test.run();
