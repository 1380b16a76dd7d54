import * as assert from "uvu/assert";
import { asElement, listBody } from "../../../src/cp/api/listing.js";
import { createRenderer } from "../../../src/cp/api/rendering.js";
import type { Dataplane } from "../../../src/resources/dataplane.js";
import { meshType } from "../../../src/resources/mesh.js";
import { registry } from "../../../src/resources/registry.js";
import { createMemoryStore } from "../../../src/store/memory.js";
import { suite } from "../../support/suite.js";
import { dataplane, fields, type Stage, stage, textOf } from "./stage.js";

const test = suite("lists of the API");

const names = (count: number) => Array.from({ length: count }, (_, index) => `d-${String(index).padStart(4, "0")}`);

async function filled(count: number): Promise<Stage> {
  const api = await stage();
  for (const name of names(count)) {
    const { networking } = dataplane(name);
    await api.store.create({ type: "Dataplane", mesh: "default", name, spec: { networking } as Dataplane });
  }
  return api;
}

interface List {
  readonly items: readonly { readonly name: string }[];
  readonly next?: string | null;
}

/** The list rendered at once by JSON.stringify. */
const whole = (value: unknown) => `${JSON.stringify(value, null, 1)}\n`;

for (const count of [0, 1, 700]) {
  test(`with ${count} members have the same bytes as when rendered at once`, async () => {
    const api = await filled(count);
    const items = names(count).map((name) => dataplane(name));
    assert.is((await api.get("/meshes/default/dataplanes")).text, whole({ items }));
    assert.is((await api.get("/meshes/default/dataplanes")).text, whole({ items }), "again");
    const overviews = await api.get("/meshes/default/dataplanes+insights");
    assert.is(overviews.text, whole(overviews.json));
    assert.is((overviews.json as List).items.length, count);
  });
}

test("of more than some MiB are sent in pieces, which are rendered lazily", async () => {
  const state = { made: 0 };
  function* elements() {
    for (; state.made < 1000; state.made++) yield asElement(JSON.stringify({ text: "x".repeat(1000) }, null, 1));
  }
  const body = await listBody(elements(), 100_000);
  assert.not.ok(Buffer.isBuffer(body) || typeof body === "string");
  assert.ok(state.made < 250, `${state.made} elements for the first pieces`);
  const items = Array.from({ length: 1000 }, () => ({ text: "x".repeat(1000) }));
  assert.is(await textOf(body), whole({ items }));
});

test("that are small are cached, and rendered again when a member changed", async () => {
  const store = createMemoryStore(registry);
  await store.create({ type: "Mesh", mesh: "m", name: "m", spec: {} });
  const renderer = createRenderer();
  const list = async () => renderer.list("x", await store.list(meshType));
  const first = await list();
  assert.is(await list(), first);
  await store.create({ type: "Mesh", mesh: "n", name: "n", spec: {} });
  assert.not.equal(await list(), first);
});

for (const path of ["/meshes/default/dataplanes", "/meshes/default/dataplanes+insights"]) {
  test(`are paged on request, each page with a link to the next: ${path}`, async () => {
    const api = await filled(25);
    const seen: string[] = [];
    let target: string | null | undefined = `${path}?size=10&tag=service:backend`;
    let pages = 0;
    for (; typeof target === "string"; pages++) {
      const answer = await api.get(target);
      assert.is(answer.status, 200);
      const list = answer.json as List;
      seen.push(...list.items.map(({ name }) => name));
      if (list.next === null) assert.is(answer.text, whole(answer.json));
      target = list.next;
    }
    assert.equal([pages, target, seen], [3, null, names(25)]);
    const beyond = await api.get(`${path}?offset=25&size=5`);
    assert.is(beyond.text, whole({ items: [], next: null }));
    const exact = (await api.get(`${path}?size=25`)).json as List;
    assert.equal([exact.items.length, exact.next], [25, null]);
  });

  test(`name an invalid parameter of a page: ${path}`, async () => {
    const api = await filled(0);
    for (const [query, field] of [
      ["size=0", "size"],
      ["size=-1", "size"],
      ["size=ten", "size"],
      ["size=", "size"],
      ["size=10001", "size"],
      ["size=1e3", "size"],
      ["size=5&offset=-1", "offset"],
      ["size=5&offset=x", "offset"],
      ["size=5&offset=99999999999999999", "offset"],
      ["offset=5", "offset"],
    ]) {
      const answer = await api.get(`${path}?${query}`);
      assert.equal([answer.status, fields(answer)], [400, [field]], query);
    }
  });
}

test.run();
