import * as assert from "uvu/assert";
import { createRegistry, registry } from "../../../src/resources/registry.js";
import { resourceType } from "../../../src/resources/resource.js";
import { text } from "../../../src/resources/scalars.js";
import { type Infer, object } from "../../../src/resources/schema.js";
import { suite } from "../../support/suite.js";
import { fields, stage } from "./stage.js";

/** A type that only this file knows: everything that the API does with types comes from the registry. */
const test = suite("a newly registered resource type");

const schema = object({ colour: text() });
const painting = resourceType<Infer<typeof schema>>({
  name: "Painting",
  path: "paintings",
  pathAliases: ["pictures"],
  schema,
  defaults: (spec) => ({ colour: "blue", ...spec }),
  validate: ({ colour }) => (colour === "grey" ? [{ field: "colour", message: "is too sad" }] : []),
});
const gallery = resourceType<Infer<typeof schema>>({ name: "Gallery", path: "galleries", scope: "global", schema });
const types = createRegistry([...registry.types, painting, gallery]);

test("has routes, aliases, defaults, validation and deletion", async () => {
  const api = await stage({ registry: types });
  const path = "/meshes/default/paintings/p";
  assert.is((await api.put(path, { type: "Painting", mesh: "default", name: "p" })).status, 201);
  const stored = { type: "Painting", mesh: "default", name: "p", colour: "blue" };
  assert.equal((await api.get("/meshes/default/pictures/p")).json, stored);
  assert.equal((await api.get("/meshes/default/paintings")).json, { items: [stored] });
  assert.equal(fields(await api.put(path, { ...stored, colour: "grey" })), ["colour"]);
  assert.equal(fields(await api.put(path, { ...stored, color: "red" })), ["color"]);
  assert.is((await api.put("/meshes/ghost/paintings/p", { ...stored, mesh: "ghost" })).status, 400);
  assert.is((await api.delete("/meshes/default")).status, 200);
  assert.is((await api.get(path)).status, 404);
});

test("may be global", async () => {
  const api = await stage({ registry: types });
  assert.is((await api.put("/galleries/g", { type: "Gallery", name: "g", colour: "red" })).status, 201);
  assert.equal((await api.get("/galleries")).json, { items: [{ type: "Gallery", name: "g", colour: "red" }] });
  assert.is((await api.delete("/meshes/default")).status, 200);
  assert.is((await api.get("/galleries/g")).status, 200);
  assert.is((await api.delete("/galleries/g")).status, 200);
});

test.run();
