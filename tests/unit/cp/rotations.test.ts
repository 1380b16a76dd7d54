import * as assert from "uvu/assert";
import { type AuthorityStatus, createRotations, type RotationOptions } from "../../../src/cp/rotations.js";
import { createAuthorities } from "../../../src/identity/authorities.js";
import {
  type AuthorityDocument,
  beginRotation,
  decodeDocument,
  encodeDocument,
  switchSigning,
} from "../../../src/identity/authority-document.js";
import { createRoot } from "../../../src/identity/root.js";
import { createLogger } from "../../../src/lib/logger.js";
import { registry } from "../../../src/resources/registry.js";
import type { Secret } from "../../../src/resources/secret.js";
import { createMemoryStore } from "../../../src/store/memory.js";
import { type Store, type Stored, StoreError } from "../../../src/store/store.js";
import { followChanges } from "../../../src/xds/feed.js";
import type { ProxySecrets } from "../../../src/xds/secret-server.js";
import { bundleVersion } from "../../../src/xds/secret-stream.js";
import { eventually } from "../../support/eventually.js";
import { createFakeTime, type FakeTime } from "../../support/fake-time.js";
import { dataplane, meshRecord } from "../../support/mesh-view.js";
import { suite } from "../../support/suite.js";

const test = suite("the rotation of a mesh's certificate authority");

const minute = 60_000;
const day = 24 * 60 * minute;
const key = { type: "Secret", mesh: "m", name: "builtinca.m" };
const keyType = "ecdsa-p256";

interface Options {
  readonly mtls?: boolean;
  readonly store?: Store;
  readonly time?: FakeTime;
  /** Of the store as the rotations write to it. */
  readonly update?: Store["update"];
  readonly options?: Partial<RotationOptions>;
}

const settle = () => new Promise((resolve) => setImmediate(resolve));
const closing: (() => void)[] = [];
test.after.each(() => {
  for (const close of closing.splice(0)) close();
});

/** Mesh `m` with an authority and the dataplanes p and q, neither of which is connected. */
async function open({
  mtls = true,
  store = createMemoryStore(registry),
  time = createFakeTime(Date.now()),
  ...more
}: Options = {}) {
  const logged: string[] = [];
  const logger = createLogger({ name: "test", level: "info", write: (line) => void logged.push(line) });
  const authorities = createAuthorities(store, { keyType, lifeMs: day }, logger);
  if ((await store.list("Mesh")).length === 0) {
    await authorities.ensure("m");
    for (const resource of [meshRecord(mtls), dataplane("p", {}), dataplane("q", {})]) await store.create(resource);
  }
  const abort = new AbortController();
  const feed = await followChanges({ changes: store.changes(abort.signal), logger, coalesceMaxMs: 20 });
  let heard = 0;
  const streams = new Map<string, ProxySecrets>();
  const connected = new Set<string>();
  const listeners = new Set<(mesh: string) => void>();
  const rotations = createRotations({
    store: { ...store, update: more.update ?? store.update },
    feed,
    authorities,
    secrets: { proxies: () => streams, onChange: (listener) => void listeners.add(listener) },
    connections: { connected: () => [...connected] },
    keyType,
    lifeMs: day,
    instanceId: "this",
    logger,
    timers: time.timers,
    now: time.now,
    ...more.options,
  });
  // After the rotations: whoever sees this count grow knows that they have heard too.
  feed.listen(() => void heard++);
  closing.push(() => {
    rotations.close();
    feed.close();
    abort.abort();
  });

  const read = async () => (await store.get(key)) as Stored<Secret>;
  const document = async () => decodeDocument((await read()).spec.value ?? "");
  /** Changes the store and waits until the rotations have heard of it. */
  async function after<T>(change: () => Promise<T>): Promise<T> {
    const before = heard;
    const result = await change();
    await eventually("the change was heard of", () => heard > before);
    await settle();
    return result;
  }
  function status(): AuthorityStatus {
    const found = rotations.status("m");
    if (found === undefined) throw new Error("there is no mesh m");
    return found;
  }
  return {
    store,
    time,
    rotations,
    connected,
    logged,
    status,
    document,
    after,
    async write(change: (document: AuthorityDocument) => AuthorityDocument) {
      const stored = await read();
      const spec: Secret = { value: encodeDocument(change(await document())) };
      await after(() => store.update({ ...stored, spec }, stored.version));
    },
    begin: () => after(() => rotations.rotate("m")),
    is: (state: AuthorityStatus["state"]) => eventually(`it is ${state}`, () => status().state === state),
    /** A proxy has secret streams, one for each bundle: that of now, another one, or none acknowledged. */
    async has(name: string, ...bundles: ("new" | "old" | "none")[]) {
      const mesh = feed.view().get("m");
      const state = mesh && authorities.authority(mesh);
      if (state?.kind !== "ready") throw new Error("the authority is not ready");
      const versions = { new: bundleVersion(state), old: "another version", none: undefined };
      streams.set(name, { trusted: bundles.map((bundle) => versions[bundle]), identity: undefined });
      for (const listener of listeners) listener("m");
      time.pass(20);
      await settle();
    },
    /** Its secret streams end. */
    hasNone(name: string) {
      streams.delete(name);
      for (const listener of listeners) listener("m");
    },
  };
}

test("goes its whole way by itself: the new root is trusted, signs, and after the last old certificate is alone", async () => {
  const stage = await open();
  const before = stage.status();
  assert.equal([before.state, before.roots.length, before.roots[0]?.signing], ["active", 1, true]);
  const answer = await stage.rotations.rotate("m");
  assert.is(answer?.begun, true);
  assert.equal([answer?.status.state, answer?.status.waitingFor], ["distributing", []]);
  assert.equal(
    answer?.status.roots.map(({ signing }) => signing),
    [true, false],
  );
  const [old, fresh] = answer?.status.roots.map(({ fingerprint }) => fingerprint) ?? [];
  assert.is(old, before.roots[0]?.fingerprint);

  await stage.is("retiring");
  const retiring = stage.status();
  assert.equal(
    retiring.roots.map(({ fingerprint, signing }) => [fingerprint, signing]),
    [
      [fresh, true],
      [old, false],
    ],
  );
  assert.is(retiring.retiresAt, new Date(stage.time.now() + day + minute).toISOString());
  stage.time.pass(day + minute - 1);
  await settle();
  assert.is((await stage.document()).roots.length, 2);
  stage.time.pass(1);
  await stage.is("active");
  assert.equal(
    stage.status().roots.map(({ fingerprint, signing }) => [fingerprint, signing]),
    [[fresh, true]],
  );
  assert.is((await stage.document()).rotation, undefined);
  assert.is(stage.time.waiting, 0);
});

/** What a connected proxy has, and whether the rotation waits for it. */
const waits: readonly (readonly [
  title: string,
  act: (stage: Awaited<ReturnType<typeof open>>) => unknown,
  waited: readonly string[],
])[] = [
  ["a proxy that trusts the new root", ({ has }) => has("p", "new"), []],
  ["a proxy that has acknowledged nothing", ({ has }) => has("p", "none"), ["p"]],
  ["a proxy that trusts other roots", ({ has }) => has("p", "old"), ["p"]],
  ["a proxy that trusts it on one of two streams", ({ has }) => has("p", "new", "old"), ["p"]],
  ["a proxy that trusts it on both", ({ has }) => has("p", "new", "new"), []],
  ["a proxy that only asked for its certificate", ({ has }) => has("p"), ["p"]],
  ["a proxy without a secret stream", ({ connected }) => connected.add("p"), ["p"]],
  ["a proxy that left just now", ({ rotations }) => rotations.left("m", "p"), ["p"]],
  [
    "a proxy that left nearly a minute ago",
    ({ rotations, time }) => {
      rotations.left("m", "p");
      time.pass(minute - 1000);
    },
    ["p"],
  ],
  [
    "a proxy that left a minute ago",
    ({ rotations, time }) => {
      rotations.left("m", "p");
      time.pass(minute);
    },
    [],
  ],
  ["a proxy of another mesh that left", ({ rotations }) => rotations.left("n", "p"), []],
  ["a proxy without a Dataplane", ({ connected }) => connected.add("stranger"), []],
  [
    "several, by name",
    async ({ connected, has }) => {
      connected.add("q");
      await has("p", "old");
    },
    ["p", "q"],
  ],
];

for (const [title, act, waited] of waits) {
  test(`${waited.length > 0 ? "waits for" : "does not wait for"} ${title}`, async () => {
    const stage = await open();
    // Somebody who is waited for while the stage is set.
    stage.connected.add("q");
    await stage.begin();
    stage.connected.delete("q");
    await act(stage);
    assert.equal(stage.status().waitingFor ?? [], waited);
    stage.time.pass(20);
    await stage.after(() => stage.store.create(dataplane("another", {})));
    assert.is((await stage.document()).rotation?.state, waited.length > 0 ? "distributing" : "retiring");
  });
}

test("goes on as soon as the last proxy acknowledges, whatever the others did before", async () => {
  const stage = await open();
  for (const name of ["p", "q"]) stage.connected.add(name);
  await stage.begin();
  await stage.has("p", "new");
  assert.equal(stage.status().waitingFor, ["q"]);
  stage.hasNone("p");
  await stage.has("q", "new");
  assert.equal(stage.status().waitingFor, ["p"]);
  await stage.has("p", "new");
  await stage.is("retiring");
});

test("goes on a minute after the last proxy that it waits for left, without anything else happening", async () => {
  const stage = await open();
  stage.connected.add("p");
  await stage.begin();
  stage.connected.delete("p");
  stage.rotations.left("m", "p");
  for (let minutes = 0; minutes < 2; minutes++) {
    stage.time.pass(minute);
    await settle();
  }
  assert.is((await stage.document()).rotation?.state, "retiring");
});

test("goes on when the Dataplane that it waits for is deleted, and when mTLS is switched off", async () => {
  for (const change of [
    (store: Store) => store.delete({ type: "Dataplane", mesh: "m", name: "p" }),
    (store: Store) => store.update(meshRecord(false), 1),
  ]) {
    const stage = await open();
    stage.connected.add("p");
    await stage.begin();
    assert.equal(stage.status().waitingFor, ["p"]);
    await stage.after<unknown>(() => change(stage.store));
    assert.is((await stage.document()).rotation?.state, "retiring");
  }
});

test("with mTLS off nobody is waited for", async () => {
  const stage = await open({ mtls: false });
  stage.connected.add("p");
  const answer = await stage.rotations.rotate("m");
  assert.equal(answer?.status.waitingFor, []);
  await stage.is("retiring");
});

test("a second request shows how far it is and begins nothing", async () => {
  const stage = await open();
  stage.connected.add("p");
  await stage.begin();
  const { version } = (await stage.store.get(key)) ?? {};
  const again = await stage.rotations.rotate("m");
  assert.equal([again?.begun, again?.status.state, again?.status.waitingFor], [false, "distributing", ["p"]]);
  assert.is((await stage.store.get(key))?.version, version);
  await stage.has("p", "new");
  await stage.is("retiring");
  const last = await stage.rotations.rotate("m");
  assert.equal([last?.begun, last?.status.state], [false, "retiring"]);
  assert.is((await stage.document()).roots.length, 2);
});

test("of two requests at once one begins, and the other hears of the conflict", async () => {
  const stage = await open();
  stage.connected.add("p");
  const outcomes = await Promise.allSettled([stage.rotations.rotate("m"), stage.rotations.rotate("m")]);
  assert.equal(outcomes.map(({ status }) => status).sort(), ["fulfilled", "rejected"]);
  const refused = outcomes.find((outcome) => outcome.status === "rejected");
  assert.ok(refused?.reason instanceof StoreError && refused.reason.kind === "conflict");
  assert.is((await stage.document()).roots.length, 2);
});

test("a mesh that doesn't exist has no status, and nothing to rotate", async () => {
  const stage = await open();
  assert.is(stage.rotations.status("n"), undefined);
  assert.is(await stage.rotations.rotate("n"), undefined);
  await stage.after(() => stage.store.create({ ...dataplane("d", {}), mesh: "n" }));
  assert.is(stage.rotations.status("n"), undefined, "its resources alone are no mesh");
  assert.is(await stage.rotations.rotate("n"), undefined);
});

test("an authority that can't be used says why, and is left as it is", async () => {
  const stage = await open();
  const stored = await stage.store.get(key);
  await stage.after(() => stage.store.update({ ...key, spec: { value: "eA==" } }, stored?.version ?? 0));
  const reason = "the certificate authority is unusable: it is no JSON";
  const unusable = { mesh: "m", state: "unusable", reason, roots: [] };
  assert.equal(stage.status(), unusable);
  assert.equal(await stage.rotations.rotate("m"), { begun: false, status: unusable });
  assert.is((await stage.store.get(key))?.version, 2);
  await stage.after(() => stage.store.delete(key));
  assert.is((await stage.rotations.rotate("m"))?.status.reason, "the mesh has no certificate authority");
});

test("the list has every mesh by name, and no key in it", async () => {
  const stage = await open();
  await stage.after(() => stage.store.create({ ...meshRecord(), mesh: "a", name: "a" }));
  assert.equal(
    stage.rotations.list().map(({ mesh, state }) => [mesh, state]),
    [
      ["a", "unusable"],
      ["m", "active"],
    ],
  );
  const { roots } = await stage.document();
  assert.not.match(JSON.stringify(stage.rotations.list()), roots[0]?.key.slice(40, 80) ?? "");
  const [root] = stage.status().roots;
  assert.match(root?.serial ?? "", /^[0-9A-F]{32}$/);
  assert.match(root?.fingerprint ?? "", /^([0-9A-F]{2}:){31}[0-9A-F]{2}$/);
  assert.match(root?.notAfter ?? "", /^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
});

async function begunBy(stage: Awaited<ReturnType<typeof open>>, instance: string): Promise<void> {
  const root = await createRoot({ mesh: "m", keyType, now: new Date() });
  await stage.write((document) => beginRotation(document, root, instance, new Date(stage.time.now())));
}

test("a rotation that another instance began is left alone for a minute: its proxies may be about to come", async () => {
  const stage = await open();
  await begunBy(stage, "another");
  stage.time.pass(minute - 1);
  await settle();
  assert.is((await stage.document()).rotation?.state, "distributing");
  stage.time.pass(1);
  await stage.is("retiring");
});

test("an instance that has been there for a minute knows who is connected, and waits for those", async () => {
  const stage = await open();
  stage.connected.add("p");
  stage.time.pass(minute);
  await begunBy(stage, "another");
  assert.is((await stage.document()).rotation?.state, "distributing");
  await stage.has("p", "new");
  await stage.is("retiring");
});

test("after a restart a rotation goes on where it was, and what is due by then is done at once", async () => {
  const stage = await open();
  const root = await createRoot({ mesh: "m", keyType, now: new Date() });
  const switched = new Date(stage.time.now());
  stage.rotations.close();
  await stage.write((document) => switchSigning(beginRotation(document, root, "past", switched), day, switched));

  const next = await open({ store: stage.store, time: stage.time });
  assert.is(next.status().state, "retiring");
  next.time.pass(day);
  await settle();
  assert.is((await next.document()).roots.length, 2);
  next.rotations.close();
  next.time.pass(day);
  assert.is((await next.document()).roots.length, 2, "it was closed");
  const last = await open({ store: stage.store, time: stage.time });
  await last.is("active");
  assert.is((await last.document()).roots.length, 1);
});

test("notes at the start that certificates live longer than they did, and nothing else", async () => {
  const store = createMemoryStore(registry);
  const first = await open({ store });
  await settle();
  assert.is((await store.get(key))?.version, 1);
  first.rotations.close();
  const longer = await open({ store, options: { lifeMs: 3 * day } });
  await eventually("the longer life is noted", async () => (await longer.document()).longestLifeMs === 3 * day);
  longer.rotations.close();
  const { version } = (await store.get(key)) ?? {};
  const shorter = await open({ store });
  await settle();
  assert.is((await store.get(key))?.version, version);
  await shorter.begin();
  await shorter.is("retiring");
  assert.is(shorter.status().retiresAt, new Date(shorter.time.now() + 3 * day + minute).toISOString());
});

test("a step that can't be written is tried again after a second, and told unless somebody else was faster", async () => {
  for (const [failure, told] of [
    [new StoreError("conflict", key), false],
    [new StoreError("unavailable", key), false],
    [new Error("broken"), true],
  ] as const) {
    const store = createMemoryStore(registry);
    let writes = 0;
    const update: Store["update"] = async (...about) => {
      writes += 1;
      // The first is the rotation's beginning.
      if (writes === 2) throw failure;
      return store.update(...about);
    };
    const stage = await open({ store, update });
    await stage.begin();
    assert.is((await stage.document()).rotation?.state, "distributing", failure.message);
    assert.is(stage.logged.join("").includes("a rotation could not go on"), told);
    stage.time.pass(999);
    await settle();
    assert.is(writes, 2);
    stage.time.pass(1);
    await stage.is("retiring");
  }
});

test("once closed it does nothing any more, and no timer runs", async () => {
  const stage = await open();
  stage.connected.add("p");
  await stage.begin();
  stage.hasNone("p");
  assert.ok(stage.time.waiting > 0);
  stage.rotations.close();
  assert.is(stage.time.waiting, 0);
  stage.connected.delete("p");
  await stage.has("p", "new");
  await stage.after(() => stage.store.create(dataplane("another", {})));
  stage.time.pass(10 * day);
  await settle();
  assert.is((await stage.document()).rotation?.state, "distributing");
  assert.is(stage.time.waiting, 0);
});

test.run();
