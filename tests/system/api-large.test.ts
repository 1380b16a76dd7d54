import * as assert from "uvu/assert";
import { type ControlPlane, startControlPlane } from "../support/executable.js";
import { suite } from "../support/suite.js";

const test = suite("large bodies and lists of a running control plane");

let cp: ControlPlane;

test.before(async () => {
  cp = await startControlPlane();
});

test.after(async () => {
  await cp.stop();
});

/** The documented bound on latency while a client floods the API. */
const readyWithinMs = 2_000;

const many = <T>(count: number, make: (index: number) => T): T[] =>
  Array.from({ length: count }, (_, index) => make(index));
const named = (type: string, rest: object) => JSON.stringify({ type, mesh: "default", name: "x", ...rest });
const rule = { sources: [{ match: { service: "a" } }], destinations: [{ match: { service: "b" } }] };
const raw = (resource: string, count = 1) =>
  named("ProxyTemplate", { resources: many(count, () => ({ name: "r", version: "1", resource })) });
const v3 = "'@type': type.googleapis.com/envoy.config.cluster.v3.Cluster\nname: x\n";

const bodies: readonly [what: string, path: string, body: string, status: number][] = [
  ["many rules", "traffic-permissions", named("TrafficPermission", { rules: many(10_000, () => rule) }), 201],
  ["too many rules", "traffic-permissions", named("TrafficPermission", { rules: many(10_001, () => rule) }), 400],
  ["deep nesting", "traffic-permissions", "[".repeat(400_000) + "]".repeat(400_000), 400],
  [
    "a wide object",
    "traffic-permissions",
    named("TrafficPermission", { rules: [{ ...rule, conf: Object.fromEntries(many(90_000, (i) => [`k${i}`, 1])) }] }),
    400,
  ],
  [
    "many inbounds",
    "dataplanes",
    named("Dataplane", {
      networking: { inbound: many(10_000, (i) => ({ interface: `127.0.0.1:${i + 1}:2`, tags: { service: "a" } })) },
    }),
    400,
  ],
  ["many documents", "proxytemplates", raw("--- a\n".repeat(10_000)), 400],
  [
    "a wide YAML map",
    "proxytemplates",
    raw(`${v3}metadata: {filterMetadata: {a: {${many(5_000, (i) => `k${i}: 1`)}}}}`),
    201,
  ],
  [
    "many raw resources",
    "proxytemplates",
    raw(`${v3}metadata: {filterMetadata: {a: {${many(50, (i) => `k${i}: 1`)}}}}`, 900),
    200,
  ],
];

test("leave /ready answered while they are checked, several at a time", async () => {
  const state = { done: false };
  const slow: number[] = [];
  const watch = (async () => {
    while (!state.done) {
      const begun = performance.now();
      const { status } = await fetch(`${cp.health}/ready`);
      assert.is(status, 200);
      slow.push(performance.now() - begun);
    }
  })();
  try {
    for (const [what, path, body, status] of bodies) {
      const put = () =>
        fetch(`${cp.api}/meshes/default/${path}/x`, {
          method: "PUT",
          headers: { "content-type": "application/json" },
          body,
        });
      const answer = await put();
      assert.is(answer.status, status, `${what}: ${(await answer.text()).slice(0, 300)}`);
      const again = await Promise.all(many(4, put));
      for (const other of again) await other.arrayBuffer();
    }
  } finally {
    state.done = true;
    await watch;
  }
  assert.ok(Math.max(...slow) < readyWithinMs, `/ready took ${Math.max(...slow)} ms`);
});

test("come back in a long list that is sent in chunks, and page by page", async () => {
  const rules = many(900, () => rule);
  for (let index = 0; index < 120; index++) {
    const name = `p-${String(index).padStart(3, "0")}`;
    const answer = await fetch(`${cp.api}/meshes/default/traffic-permissions/${name}`, {
      method: "PUT",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ type: "TrafficPermission", mesh: "default", name, rules }),
    });
    assert.is(answer.status, 201);
  }
  const list = await fetch(`${cp.api}/meshes/default/traffic-permissions`);
  assert.is(list.headers.get("transfer-encoding"), "chunked");
  const text = await list.text();
  assert.ok(text.length > 8 * 1024 * 1024);
  const { items } = JSON.parse(text) as { items: { name: string }[] };
  assert.is(items.length, 121);
  assert.is(text, `${JSON.stringify({ items }, null, 1)}\n`);

  const names: string[] = [];
  let target: string | null = "/meshes/default/traffic-permissions?size=50";
  while (target !== null) {
    const page = (await (await fetch(`${cp.api}${target}`)).json()) as {
      items: { name: string }[];
      next: string | null;
    };
    names.push(...page.items.map(({ name }) => name));
    target = page.next;
  }
  assert.equal(
    names,
    items.map(({ name }) => name),
  );
});

test.run();
