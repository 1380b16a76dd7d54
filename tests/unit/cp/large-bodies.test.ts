import * as assert from "uvu/assert";
import { suite } from "../../support/suite.js";
import { type Answer, fields, type Stage, stage, words } from "./stage.js";

const test = suite("large bodies");

/** How often the event loop was free while the work ran. */
async function turnsDuring<T>(work: Promise<T>): Promise<{ readonly result: T; readonly turns: number }> {
  const state = { turns: 0, done: false };
  const count = () => {
    state.turns += 1;
    if (!state.done) setImmediate(count);
  };
  setImmediate(count);
  const result = await work;
  state.done = true;
  return { result, turns: state.turns };
}

const permission = (rules: readonly unknown[]) => ({ type: "TrafficPermission", mesh: "default", name: "p", rules });
const rule = { sources: [{ match: { service: "a" } }], destinations: [{ match: { service: "b" } }] };
const put = (api: Stage, body: unknown): Promise<Answer> => api.put("/meshes/default/traffic-permissions/p", body);

test("are accepted within the limits, and leave the event loop free in between", async () => {
  const api = await stage();
  const body = permission(Array.from({ length: 10_000 }, () => rule));
  const { result, turns } = await turnsDuring(put(api, body));
  assert.is(result.status, 201);
  assert.ok(turns > 5, `${turns} turns`);
  assert.equal((await api.get("/meshes/default/traffic-permissions/p")).json, body);
});

test("are rejected beyond the limits, with the field, the count and the limit", async () => {
  const api = await stage();
  const { result, turns } = await turnsDuring(put(api, permission(Array.from({ length: 10_001 }, () => rule))));
  assert.equal(words(result), [
    "Could not process a resource",
    "rules: has 10001 elements, but 10000 at most are taken",
  ]);
  assert.equal(fields(result), ["rules"]);
  assert.ok(turns > 2, `${turns} turns`);
  const wide = Object.fromEntries(Array.from({ length: 90_000 }, (_, index) => [`k${index}`, 1]));
  assert.match(
    String(words(await put(api, permission([{ ...rule, conf: wide }])))[1]),
    /^The body is too large: rules\[0\]\.conf: an object has too many members: 10000/,
  );
  const tags = Object.fromEntries(Array.from({ length: 300 }, (_, index) => [`t${index}`, "x"]));
  const tagged = permission([{ ...rule, sources: [{ match: tags }] }]);
  assert.is(words(await put(api, tagged))[1], "rules[0].sources[0].match: has 300 keys, but 256 at most are taken");
});

test("with errors everywhere get the first ones in the response", async () => {
  const api = await stage();
  const answer = await put(api, permission(Array.from({ length: 5_000 }, () => ({}))));
  const { causes } = answer.json as { causes: { field: string; message: string }[] };
  assert.equal([answer.status, causes.length], [400, 201]);
  assert.equal(causes[200], { field: "rules[100].sources", message: "and 9800 more problems like these" });
});

test("that are not JSON are rejected like small ones", async () => {
  const api = await stage();
  for (const filler of ["", " ".repeat(100_000)]) {
    const answer = await put(api, `{"type":${filler}}`);
    assert.is(answer.status, 400);
    assert.match(String(words(answer)[1]), /^The body is not valid JSON: /);
  }
});

test("may contain a raw resource as long as a large listener, and no longer", async () => {
  const api = await stage();
  const resource = `'@type': type.googleapis.com/envoy.config.cluster.v3.Cluster\nname: ${"x".repeat(65_536)}`;
  const answer = await api.put("/meshes/default/proxytemplates/t", {
    type: "ProxyTemplate",
    mesh: "default",
    name: "t",
    resources: [{ name: "r", version: "1", resource }],
  });
  assert.match(
    String(words(answer)[1]),
    /^resources\[0\]\.resource: has 65\d{3} characters, but 65536 at most are taken/,
  );
});

test.run();
