import * as assert from "uvu/assert";
import { createInsightRecorder } from "../../../src/cp/insights/recorder.js";
import { type AuthorityStatus, createRotations, type RotationOptions } from "../../../src/cp/rotations.js";
import { startViewFeed } from "../../../src/feed/feed.js";
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
import type { DataplaneInsight, MtlsInsight } from "../../../src/resources/dataplane-insight.js";
import { meshType } from "../../../src/resources/mesh.js";
import { registry } from "../../../src/resources/registry.js";
import type { Secret } from "../../../src/resources/secret.js";
import { aloneOnStore } from "../../../src/store/instances.js";
import { createMemoryStore } from "../../../src/store/memory.js";
import { type Store, type Stored, StoreError } from "../../../src/store/store.js";
import { versionOf } from "../../../src/store/version.js";
import { bundleVersion } from "../../../src/xds/secrets/stream.js";
import { eventually } from "../../support/eventually.js";
import { createFakeTime, type FakeTime } from "../../support/fake-time.js";
import { dataplane, meshRecord } from "../../support/mesh-view.js";
import { suite } from "../../support/suite.js";
import { silent } from "./stage.js";

const test = suite("the rotation of a mesh's certificate authority");

const second = 1000;
const minute = 60 * second;
const day = 24 * 60 * minute;
const key = { type: "Secret", mesh: "m", name: "builtinca.m" };
const keyType = "ecdsa-p256";

interface Options {
  readonly mtls?: boolean;
  readonly store?: Store;
  readonly time?: FakeTime;
  /** Overrides of the store for the rotations. */
  readonly interfere?: (inner: Store) => Partial<Store>;
  readonly options?: Partial<RotationOptions>;
  /** Default: true. */
  readonly started?: boolean;
}

/** The roots that a proxy last acknowledged: the current ones, other ones, or none. */
type Trust = "new" | "old" | "none";

const settle = () => new Promise((resolve) => setImmediate(resolve));
const closing: (() => void)[] = [];
test.after.each(() => {
  for (const close of closing.splice(0)) close();
});

/** An instance for mesh `m`, with an authority and the dataplanes p and q, which were never connected. */
async function open({
  mtls = true,
  store = createMemoryStore(registry),
  time = createFakeTime(Date.now()),
  interfere = () => ({}),
  options = {},
  started = true,
}: Options = {}) {
  const logged: string[] = [];
  const logger = createLogger({ name: "test", level: "info", write: (line) => void logged.push(line) });
  const authorities = createAuthorities(store, { keyType, validityMs: day }, logger);
  if ((await store.list(meshType)).length === 0) {
    await authorities.ensure("m");
    for (const resource of [meshRecord(mtls), dataplane("p", {}), dataplane("q", {})]) await store.create(resource);
  }
  const feed = await startViewFeed({ changes: store.changes, logger, coalesceMaxMs: 20 });
  let heard = 0;
  const rotations = createRotations({
    store: { ...store, ...interfere(store) },
    feed,
    authorities,
    keyType,
    validityMs: day,
    logger,
    timers: time.timers,
    now: time.now,
    ...options,
  });
  if (started) rotations.start();
  // After the rotations: whoever sees this count grow knows that they have heard too.
  feed.listen(() => void heard++);
  closing.push(() => {
    rotations.close();
    feed.close();
  });

  const read = async () => (await store.get(key)) as Stored<Secret>;
  const document = async () => decodeDocument((await read()).spec.value ?? "");
  /** Changes the store and waits until the rotations were notified. */
  async function after<T>(change: () => Promise<T>): Promise<T> {
    const before = heard;
    const result = await change();
    await eventually("the change was heard of", () => heard > before);
    await settle();
    return result;
  }
  async function status(): Promise<AuthorityStatus> {
    const found = await rotations.status("m");
    if (found === undefined) throw new Error("there is no mesh m");
    return found;
  }
  /** The version of the current roots. */
  function version(): string {
    const mesh = feed.view().get("m");
    const state = mesh && authorities.authority(mesh);
    if (state?.kind !== "ready") throw new Error("the authority is not ready");
    return bundleVersion(state);
  }
  /** Writes the insight of a proxy. */
  async function insight(name: string, spec: DataplaneInsight, mesh = "m"): Promise<void> {
    const about = { type: "DataplaneInsight", mesh, name };
    const present = await store.get(about);
    if (present === undefined) await store.create({ ...about, spec });
    else await store.update({ ...about, spec }, present.version);
  }
  return {
    store,
    time,
    rotations,
    logged,
    status,
    document,
    after,
    version,
    insight,
    async state() {
      return (await document()).rotation?.state;
    },
    async waitingFor() {
      return (await status()).waitingFor;
    },
    async write(change: (document: AuthorityDocument) => AuthorityDocument) {
      const stored = await read();
      const spec: Secret = { value: encodeDocument(change(await document())) };
      await after(() => store.update({ ...stored, spec }, stored.version));
    },
    begin: () => after(() => rotations.rotate("m")),
    is: (state: AuthorityStatus["state"]) => eventually(`it is ${state}`, async () => (await status()).state === state),
    /** The proxy has an ADS stream, and trusts these roots. */
    connected: (name: string, trust: Trust = "old") =>
      insight(name, { subscriptions: [{ id: name }], ...trusting(trust, version()) }),
    forgotten: (name: string) => store.delete({ type: "DataplaneInsight", mesh: "m", name }),
    /** Advances the time, with a read of the insights whenever one is due. */
    async pass(milliseconds: number) {
      for (let left = milliseconds; left > 0; left -= second) {
        time.pass(Math.min(left, second));
        await settle();
      }
    },
  };
}

type Stage = Awaited<ReturnType<typeof open>>;

function trusting(trust: Trust, version: string): { readonly mTLS?: MtlsInsight } {
  if (trust === "none") return {};
  return { mTLS: { trustedRoots: trust === "new" ? version : "another version" } };
}

test("completes by itself: the new root is trusted, then signs, and after the last old certificate is the only one", async () => {
  const stage = await open();
  const before = await stage.status();
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
  const retiring = await stage.status();
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
    (await stage.status()).roots.map(({ fingerprint, signing }) => [fingerprint, signing]),
    [[fresh, true]],
  );
  assert.is(await stage.state(), undefined);
  assert.is(stage.time.waiting, 0);
});

test("goes no further before the rotations are started, and then from where it is", async () => {
  const stage = await open({ started: false });
  await stage.begin();
  await stage.after(() => stage.store.create(dataplane("another", {})));
  assert.is(await stage.state(), "distributing");
  assert.is(stage.time.waiting, 0);
  stage.rotations.start();
  await stage.is("retiring");
});

/** Streams of a proxy: `open`, or how many milliseconds ago each ended. */
type Streams = readonly ("open" | number)[];

const subscriptions = (streams: Streams, now: number) =>
  streams.map((stream, index) => ({
    id: String(index),
    ...(stream === "open" ? {} : { disconnectTime: new Date(now - stream).toISOString() }),
  }));

/** The insight of proxy p, and whether the rotation waits for it. */
const waits: readonly (readonly [title: string, streams: Streams, trust: Trust, waited: boolean])[] = [
  ["that was never connected", [], "none", false],
  ["that trusts the new root", ["open"], "new", false],
  ["that trusts other roots", ["open"], "old", true],
  ["that has an ADS stream only", ["open"], "none", true],
  ["without an ADS stream, whatever it trusts", [], "old", false],
  ["that left just now", [0], "old", true],
  ["that left just now and had acknowledged nothing", [0], "none", true],
  ["that left just now and trusts the new root", [0], "new", false],
  ["that left nearly a minute ago", [minute - 1], "old", true],
  ["that left a minute ago", [minute], "old", false],
  ["that came back after it left", [10 * minute, "open"], "old", true],
  ["with an open stream before one that ended", ["open", minute], "old", true],
  ["whose streams all ended long ago", [day, 10 * minute], "old", false],
  ["one of whose streams ended just now, the last one long ago", [1, day], "old", true],
];

for (const [title, streams, trust, waited] of waits) {
  test(`${waited ? "waits for" : "does not wait for"} a proxy ${title}`, async () => {
    const stage = await open();
    // A proxy to wait for during the setup.
    await stage.connected("q");
    await stage.begin();
    assert.equal(await stage.waitingFor(), ["q"]);
    await stage.insight("p", {
      subscriptions: subscriptions(streams, stage.time.now()),
      ...trusting(trust, stage.version()),
    });
    await stage.forgotten("q");
    assert.equal(await stage.waitingFor(), waited ? ["p"] : []);
    await stage.after(() => stage.store.create(dataplane("another", {})));
    assert.is(await stage.state(), waited ? "distributing" : "retiring");
  });
}

const withCertificate: DataplaneInsight = { subscriptions: [{ id: "x" }], mTLS: { certificateRegenerations: 1 } };
const refused: DataplaneInsight = { subscriptions: [{ id: "x" }], mTLS: { refusal: { reason: "no token" } } };

const others: readonly (readonly [title: string, act: (stage: Stage) => Promise<void>, waited: readonly string[]])[] = [
  ["one that only took its certificate", ({ insight }) => insight("p", withCertificate), ["p"]],
  ["one that was refused a certificate", ({ insight }) => insight("p", refused), ["p"]],
  ["one without a Dataplane", ({ connected }) => connected("stranger"), []],
  ["one of another mesh", ({ insight }) => insight("p", { subscriptions: [{ id: "x" }] }, "n"), []],
  [
    "several, by name",
    async ({ connected }) => {
      await connected("q");
      await connected("p");
    },
    ["p", "q"],
  ],
];

for (const [title, act, waited] of others) {
  test(`of those that are connected it ${waited.length > 0 ? "waits for" : "does not wait for"} ${title}`, async () => {
    const stage = await open();
    await act(stage);
    const answer = await stage.rotations.rotate("m");
    assert.equal(answer?.status.waitingFor, waited);
    if (waited.length === 0) await stage.is("retiring");
    else {
      await stage.pass(3 * second);
      assert.equal([await stage.state(), await stage.waitingFor()], ["distributing", waited]);
    }
  });
}

test("continues within a second of the last acknowledgement, whatever the others did before", async () => {
  const stage = await open();
  for (const name of ["p", "q"]) await stage.connected(name);
  await stage.begin();
  await stage.connected("p", "new");
  await stage.pass(second);
  assert.equal(await stage.waitingFor(), ["q"]);
  await stage.connected("p", "none");
  await stage.connected("q", "new");
  await stage.pass(second);
  assert.equal([await stage.state(), await stage.waitingFor()], ["distributing", ["p"]]);
  await stage.connected("p", "new");
  await stage.pass(second - 1);
  assert.is(await stage.state(), "distributing");
  await stage.pass(1);
  assert.is(await stage.state(), "retiring");
});

test("continues a minute after the last proxy that it waits for disconnected, without any other event", async () => {
  const stage = await open();
  await stage.connected("p");
  await stage.begin();
  const left = subscriptions([0], stage.time.now());
  await stage.insight("p", { subscriptions: left });
  await stage.pass(minute - second);
  assert.equal([await stage.state(), await stage.waitingFor()], ["distributing", ["p"]]);
  await stage.pass(second);
  assert.is(await stage.state(), "retiring");
});

test("continues when the Dataplane that it waits for is deleted, and when mTLS is disabled", async () => {
  for (const change of [
    (store: Store) => store.delete({ type: "Dataplane", mesh: "m", name: "p" }),
    (store: Store) => store.update(meshRecord(false), versionOf(1)),
  ]) {
    const stage = await open();
    await stage.connected("p");
    await stage.begin();
    assert.equal(await stage.waitingFor(), ["p"]);
    await stage.after<unknown>(() => change(stage.store));
    assert.is(await stage.state(), "retiring");
  }
});

test("does not wait for any proxy while mTLS is disabled", async () => {
  const stage = await open({ mtls: false });
  await stage.connected("p");
  const answer = await stage.rotations.rotate("m");
  assert.equal(answer?.status.waitingFor, []);
  await stage.is("retiring");
});

test("a second request returns its state and begins nothing", async () => {
  const stage = await open();
  await stage.connected("p");
  await stage.begin();
  const { version } = (await stage.store.get(key)) ?? {};
  const again = await stage.rotations.rotate("m");
  assert.equal([again?.begun, again?.status.state, again?.status.waitingFor], [false, "distributing", ["p"]]);
  assert.is((await stage.store.get(key))?.version, version);
  await stage.connected("p", "new");
  await stage.pass(second);
  await stage.is("retiring");
  const last = await stage.rotations.rotate("m");
  assert.equal([last?.begun, last?.status.state], [false, "retiring"]);
  assert.is((await stage.document()).roots.length, 2);
});

test("one of two concurrent requests begins, and the other gets a conflict, also at another instance", async () => {
  const stage = await open();
  const other = await open({ store: stage.store, time: stage.time });
  await stage.connected("p");
  for (const beside of [stage, other]) {
    const outcomes = await Promise.allSettled([stage.rotations.rotate("m"), beside.rotations.rotate("m")]);
    assert.equal(outcomes.map(({ status }) => status).sort(), ["fulfilled", "rejected"]);
    const refused = outcomes.find((outcome) => outcome.status === "rejected");
    assert.ok(refused?.reason instanceof StoreError && refused.reason.kind === "conflict");
    const { roots } = await stage.document();
    assert.is(roots.length, 2);
    await stage.write(({ rotation: _taken, ...document }) => ({ ...document, roots: roots.slice(0, 1) }));
    await eventually("the other has heard too", async () => (await other.status()).state === "active");
  }
});

/** Records of two control planes over one store about their own proxies. */
function createRecorders(store: Store) {
  const running = new Set(["one", "two"]);
  return [...running].map((own) => {
    const instances = { ...aloneOnStore(own), running: async () => running };
    const recorder = createInsightRecorder({ store, instances, flushIntervalMs: day, logger: silent });
    closing.push(() => void recorder.close());
    return recorder;
  });
}

test("waits for the proxies of every instance, and one instance takes each step", async () => {
  const stage = await open();
  const other = await open({ store: stage.store, time: stage.time });
  const [one, two] = createRecorders(stage.store);
  if (one === undefined || two === undefined) throw new Error("there are two");
  const [p, q] = [
    { mesh: "m", name: "p" },
    { mesh: "m", name: "q" },
  ] as const;
  one.opened({ ...p, id: "1", at: new Date(stage.time.now()) });
  two.opened({ ...q, id: "2", at: new Date(stage.time.now()) });
  // A proxy's SDS stream may be with another instance than its ADS stream.
  two.trusting(p, stage.version());
  two.trusting(q, stage.version());
  for (const recorder of [one, two]) await recorder.flush();

  await other.after(() => stage.rotations.rotate("m"));
  for (const instance of [stage, other]) {
    await instance.is("distributing");
    assert.equal(await instance.waitingFor(), ["p", "q"]);
  }
  two.trusting(p, stage.version());
  await two.flush();
  await stage.pass(second);
  for (const instance of [stage, other]) assert.equal(await instance.waitingFor(), ["q"]);
  two.closed("2", new Date(stage.time.now()));
  one.opened({ ...q, id: "3", at: new Date(stage.time.now()) });
  for (const recorder of [one, two]) await recorder.flush();
  await stage.pass(2 * minute);
  for (const instance of [stage, other]) assert.equal(await instance.waitingFor(), ["q"]);
  one.trusting(q, other.version());
  await one.flush();
  await stage.pass(second);
  for (const instance of [stage, other]) await instance.is("retiring");
  await stage.pass(second);
  assert.is((await stage.store.get(key))?.version, 3, "made, begun, switched");

  stage.time.pass(day + minute);
  for (const instance of [stage, other]) await instance.is("active");
  assert.is((await stage.store.get(key))?.version, 4);
  const told = [...stage.logged, ...other.logged].join("");
  for (const step of ["which signs from now on", "the old root is gone"]) assert.is(told.split(step).length, 2, step);
  assert.not.match(told, "a rotation failed");
});

test("a mesh that doesn't exist has no status, and nothing to rotate", async () => {
  const stage = await open();
  assert.is(await stage.rotations.status("n"), undefined);
  assert.is(await stage.rotations.rotate("n"), undefined);
  await stage.after(() => stage.store.create({ ...dataplane("d", {}), mesh: "n" }));
  assert.is(await stage.rotations.status("n"), undefined, "its resources alone are no mesh");
  assert.is(await stage.rotations.rotate("n"), undefined);
});

test("an unusable authority has a reason, and is not changed", async () => {
  const stage = await open();
  const stored = await stage.store.get(key);
  await stage.after(() => stage.store.update({ ...key, spec: { value: "eA==" } }, stored?.version ?? versionOf(0)));
  const reason = "the certificate authority is unusable: it is no JSON";
  const unusable = { mesh: "m", state: "unusable", reason, roots: [] };
  assert.equal(await stage.status(), unusable);
  assert.equal(await stage.rotations.rotate("m"), { begun: false, status: unusable });
  assert.is((await stage.store.get(key))?.version, 2);
  await stage.after(() => stage.store.delete(key));
  assert.is((await stage.rotations.rotate("m"))?.status.reason, "the mesh has no certificate authority");
});

test("an authority that becomes unusable during its rotation is not changed until it is repaired", async () => {
  const stage = await open();
  await stage.connected("p");
  await stage.begin();
  const begun = (await stage.store.get(key)) as Stored<Secret>;
  const broken = await stage.after(() => stage.store.update({ ...key, spec: { value: "eA==" } }, begun.version));
  await stage.forgotten("p");
  await stage.pass(minute);
  assert.equal([(await stage.status()).state, stage.time.waiting], ["unusable", 0]);
  assert.is(await stage.store.get(key), broken);
  await stage.after(() => stage.store.update({ ...key, spec: begun.spec }, broken.version));
  await stage.is("retiring");
});

test("the list has every mesh by name, and no key in it", async () => {
  const stage = await open();
  await stage.after(() => stage.store.create({ ...meshRecord(), mesh: "a", name: "a" }));
  const list = await stage.rotations.list();
  assert.equal(
    list.map(({ mesh, state }) => [mesh, state]),
    [
      ["a", "unusable"],
      ["m", "active"],
    ],
  );
  const { roots } = await stage.document();
  assert.not.match(JSON.stringify(list), roots[0]?.key.slice(40, 80) ?? "");
  const [root] = (await stage.status()).roots;
  assert.match(root?.serial ?? "", /^[0-9A-F]{32}$/);
  assert.match(root?.fingerprint ?? "", /^([0-9A-F]{2}:){31}[0-9A-F]{2}$/);
  assert.match(root?.notAfter ?? "", /^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
});

test("after a restart a rotation continues where it was, and takes due steps at once", async () => {
  const stage = await open();
  const root = await createRoot({ mesh: "m", keyType, now: new Date() });
  const switched = new Date(stage.time.now());
  stage.rotations.close();
  await stage.write((document) => switchSigning(beginRotation(document, root, switched), day, switched));

  const next = await open({ store: stage.store, time: stage.time });
  assert.is((await next.status()).state, "retiring");
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

test("after a restart it waits for proxies that were connected before", async () => {
  const stage = await open();
  await stage.connected("p");
  await stage.begin();
  stage.rotations.close();
  await stage.insight("p", { subscriptions: subscriptions([0], stage.time.now()) });
  const next = await open({ store: stage.store, time: stage.time });
  await next.pass(minute - second);
  assert.equal([await next.state(), await next.waitingFor()], ["distributing", ["p"]]);
  await next.connected("p");
  await next.pass(minute);
  assert.is(await next.state(), "distributing");
  await next.connected("p", "new");
  await next.pass(second);
  assert.is(await next.state(), "retiring");
});

test("records at the start that the validity of certificates is longer than before, and nothing else", async () => {
  const store = createMemoryStore(registry);
  const first = await open({ store });
  await settle();
  assert.is((await store.get(key))?.version, 1);
  first.rotations.close();
  const longer = await open({ store, options: { validityMs: 3 * day } });
  await eventually("the longer life is noted", async () => (await longer.document()).longestLifeMs === 3 * day);
  longer.rotations.close();
  const { version } = (await store.get(key)) ?? {};
  const shorter = await open({ store });
  await settle();
  assert.is((await store.get(key))?.version, version);
  await shorter.begin();
  await shorter.is("retiring");
  assert.is((await shorter.status()).retiresAt, new Date(shorter.time.now() + 3 * day + minute).toISOString());
});

test("a step that can't be written is retried after a second, and logged unless it lost against a concurrent write", async () => {
  for (const [failure, told] of [
    [new StoreError("conflict", key), false],
    [new StoreError("unavailable", key), false],
    [new Error("broken"), true],
  ] as const) {
    let writes = 0;
    const stage = await open({
      interfere: (inner) => ({
        async update(...about) {
          writes += 1;
          // The first write begins the rotation.
          if (writes === 2) throw failure;
          return inner.update(...about);
        },
      }),
    });
    await stage.begin();
    assert.is(await stage.state(), "distributing", failure.message);
    assert.is(stage.logged.join("").includes("a rotation failed"), told);
    stage.time.pass(second - 1);
    await settle();
    assert.is(writes, 2);
    stage.time.pass(1);
    await stage.is("retiring");
  }
});

test("unreadable insights delay a rotation, and are read again after a second", async () => {
  const failing = { now: false };
  const stage = await open({
    interfere: (inner) => ({
      async list(...about) {
        if (failing.now) throw new StoreError("unavailable", key);
        return inner.list(...about);
      },
    }),
  });
  await stage.connected("p");
  await stage.begin();
  failing.now = true;
  await stage.forgotten("p");
  await stage.pass(3 * second);
  assert.is(await stage.state(), "distributing");
  assert.match(stage.logged.join(""), "a rotation failed; it will be retried");
  for (const ask of [stage.rotations.status("m"), stage.rotations.list()]) {
    const error = await ask.then(
      () => undefined,
      (reason: unknown) => reason,
    );
    assert.ok(error instanceof StoreError && error.kind === "unavailable");
  }
  failing.now = false;
  await stage.pass(second);
  assert.is(await stage.state(), "retiring");
});

/** Blocks its caller until the test releases it. */
function createGate() {
  let opened: (() => void) | undefined;
  const gate = new Promise<void>((resolve) => {
    opened = resolve;
  });
  const state = { reached: false };
  return {
    get reached() {
      return state.reached;
    },
    async pass() {
      state.reached = true;
      await gate;
    },
    open: () => opened?.(),
  };
}

test("a change during the write of a step is handled right after, and the step is applied on top of it", async () => {
  const gate = createGate();
  let writes = 0;
  const stage = await open({
    interfere: (inner) => ({
      async update(...about) {
        writes += 1;
        if (writes === 2) await gate.pass();
        return inner.update(...about);
      },
    }),
  });
  await stage.begin();
  await eventually("the switch is being written", () => gate.reached);
  await stage.write((document) => ({ ...document, longestLifeMs: 2 * day }));
  assert.is(writes, 2, "one step at a time");
  gate.open();
  await stage.is("retiring");
  assert.is((await stage.document()).longestLifeMs, 2 * day);
  assert.is((await stage.status()).retiresAt, new Date(stage.time.now() + 2 * day + minute).toISOString());
});

test("does not wait for a Dataplane that is deleted while the insights are read", async () => {
  const gate = createGate();
  const holding = { now: false };
  const stage = await open({
    interfere: (inner) => ({
      async list(...about) {
        const found = await inner.list(...about);
        if (holding.now) await gate.pass();
        return found;
      },
    }),
  });
  await stage.connected("p");
  await stage.begin();
  holding.now = true;
  stage.time.pass(second);
  await eventually("the insights are being read", () => gate.reached);
  await stage.after(() => stage.store.delete({ type: "Dataplane", mesh: "m", name: "p" }));
  gate.open();
  await settle();
  await stage.pass(second);
  assert.is(await stage.state(), "retiring");
});

test("does nothing once closed, and no timer runs", async () => {
  const stage = await open();
  await stage.connected("p");
  await stage.begin();
  assert.ok(stage.time.waiting > 0);
  stage.rotations.close();
  assert.is(stage.time.waiting, 0);
  await stage.connected("p", "new");
  await stage.after(() => stage.store.create(dataplane("another", {})));
  stage.time.pass(10 * day);
  await settle();
  assert.is(await stage.state(), "distributing");
  assert.is(stage.time.waiting, 0);
});

test("waits until all insights may have caught up with its beginning", async () => {
  const stage = await open({ options: { insightsLagMs: 20_000 } });
  await stage.after(() => stage.rotations.rotate("m"));
  stage.time.pass(19_000);
  await settle();
  assert.is((await stage.status()).state, "distributing");
  stage.time.pass(2_000);
  await eventually("it is retiring", async () => (await stage.status()).state === "retiring");
});

test.run();
