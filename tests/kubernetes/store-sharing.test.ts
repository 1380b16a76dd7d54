// deadline: 300 s
import { randomUUID } from "node:crypto";
import * as assert from "uvu/assert";
import { createKubeClient } from "../../src/kubeapi/client.js";
import { loadCredentials } from "../../src/kubeapi/credentials.js";
import { createLogger } from "../../src/lib/logger.js";
import { dataplaneType } from "../../src/resources/dataplane.js";
import { registry } from "../../src/resources/registry.js";
import type { OpenedStore } from "../../src/store/kind.js";
import { openKubernetesStore } from "../../src/store/kubernetes/open.js";
import { StoreError } from "../../src/store/store.js";
import { eventually } from "../support/eventually.js";
import { type KubernetesStage, startKubernetesStage } from "../support/kubernetes-store.js";
import { suite } from "../support/suite.js";
import { startFaultProxy } from "./fault-proxy.js";

const test = suite("control planes that share a Kubernetes API", { needs: "kubernetes" });

let stage: KubernetesStage;
let system: string;
const opened: OpenedStore[] = [];

test.before(async () => {
  stage = await startKubernetesStage(["demo"]);
});
test.after(() => stage.stop());
test.before.each(async () => {
  system = await stage.emptied();
});
test.after.each(async () => {
  for (const { store } of opened.splice(0)) await store.close();
});

async function open(id: string, kubeconfig = stage.kubeconfig): Promise<OpenedStore> {
  const one = await openKubernetesStore({
    client: createKubeClient(await loadCredentials({ kubeconfig })),
    systemNamespace: system,
    registry,
    logger: createLogger({ name: "store", level: "off" }),
    instanceId: id,
    signal: new AbortController().signal,
    timing: { beatMs: 500, deadMs: 3_000 },
  });
  opened.push(one);
  return one;
}

/** An instance whose process is killed: it can't say goodbye. */
async function openDoomed(id: string) {
  const proxy = await startFaultProxy(stage, stage.issuer);
  const one = await open(id, stage.writeKubeconfig(stage.token, proxy.url));
  return {
    one,
    async die() {
      proxy.answer({}, { status: 503 });
      proxy.cut();
    },
    revive: () => proxy.heal(),
    close: () => proxy.close(),
  };
}

const leads = ({ leadership }: OpenedStore) => leadership.leads().catch(() => false);
const path = "/apis/kuma.io/v1alpha1/namespaces/demo/dataplanes";
const networking = { inbound: [{ interface: "10.0.0.1:8080:8080", tags: { service: "web" } }] };
const key = { type: "Dataplane", mesh: "default", name: "web.demo" };

test("one of them leads; another takes over at once when it leaves", async () => {
  const first = await open("first");
  const [second, third] = [await open("second"), await open("third")];
  assert.equal(await Promise.all([first, second, third].map(leads)), [true, false, false]);
  const running = async (instance: OpenedStore) => [...(await instance.instances.running())].sort().join();
  await eventually("all of them run", async () => (await running(first)) === "first,second,third");
  await opened.shift()?.store.close();
  await eventually("one of the others leads", async () => (await leads(second)) !== (await leads(third)), 10_000);
  await eventually("the others run", async () => (await running(second)) === "second,third");
});

test("a leader that can't reach the API server stops leading before another begins", async () => {
  const doomed = await openDoomed(`doomed-${randomUUID()}`);
  try {
    const heir = await open("heir");
    assert.equal([await leads(doomed.one), await leads(heir)], [true, false]);
    await doomed.die();
    await eventually("it leads no more", async () => !(await leads(doomed.one)));
    assert.is(await leads(heir), false);
    await eventually("the other one leads", () => leads(heir));
    doomed.revive();
    await eventually("it is back", () => doomed.one.store.available);
    assert.equal([await leads(doomed.one), await leads(heir)], [false, true]);
  } finally {
    doomed.revive();
    await opened.splice(0).reduce((before, { store }) => before.then(() => store.close()), Promise.resolve());
    await doomed.close();
  }
});

test("an instance that died is noticed by its Lease, and one that returns hears of it", async () => {
  const living = await open("living");
  const doomed = await openDoomed("doomed");
  try {
    const dead: string[] = [];
    let returned = 0;
    living.instances.observe({ died: (ids) => void dead.push(...ids), returned() {} });
    doomed.one.instances.observe({ died() {}, returned: () => void returned++ });
    await eventually("both run", async () => (await living.instances.running()).size === 2);
    await doomed.die();
    await eventually("its death is noticed", () => dead.includes("doomed"));
    assert.equal(await living.instances.running(), new Set(["living"]));
    await living.instances.forget(["doomed", "living"]);
    assert.ok((await living.instances.running()).has("living"));
    assert.is(returned, 0);
    doomed.revive();
    await eventually("it hears that it was forgotten", () => returned === 1);
  } finally {
    doomed.revive();
    await opened.splice(0).reduce((before, { store }) => before.then(() => store.close()), Promise.resolve());
    await doomed.close();
  }
});

test("reads see what another one has written, at once", async () => {
  const [one, other] = [await open("one"), await open("other")];
  for (let round = 0; round < 20; round++) {
    const { version } = await one.store.create({ ...key, spec: { networking } });
    assert.is((await other.store.get(key))?.version, version);
    assert.is((await other.store.list(dataplaneType)).length, 1);
    await other.store.delete(key);
    assert.is(await one.store.get(key), undefined);
  }
});

test("an update changes the content and nothing that others set beside it", async () => {
  const { store } = await open("one");
  const metadata = {
    name: "web",
    namespace: "demo",
    labels: { team: "blue" },
    annotations: { note: "kept" },
    finalizers: ["example.io/guard"],
    ownerReferences: [{ apiVersion: "v1", kind: "Pod", name: "web", uid: "0b7c4e5e-0000-4000-8000-000000000000" }],
  };
  const object = { apiVersion: "kuma.io/v1alpha1", kind: "Dataplane", metadata, spec: { networking } };
  assert.is((await stage.request("POST", path, object)).status, 201);
  const before = await store.get(key);
  assert.ok(before !== undefined);
  await store.update({ ...key, spec: { networking: {} } }, before.version);
  const { body } = await stage.request("GET", `${path}/web`);
  const after = body as { metadata: typeof metadata; spec: object; mesh?: string };
  assert.equal(after.spec, { networking: {} });
  for (const field of Object.keys(metadata) as (keyof typeof metadata)[])
    assert.equal(after.metadata[field], metadata[field], field);
  assert.is(after.mesh, undefined);
  await stage.request(
    "PATCH",
    `${path}/web`,
    { metadata: { finalizers: null } },
    { contentType: "application/merge-patch+json" },
  );
});

test("a version of an object that was deleted and made again is a conflict", async () => {
  const { store } = await open("one");
  const first = await store.create({ ...key, spec: { networking } });
  await store.delete(key);
  await store.create({ ...key, spec: { networking } });
  const error = await store.update({ ...key, spec: {} }, first.version).catch((one: unknown) => one);
  assert.is(error instanceof StoreError && error.kind, "conflict");
});

test("an object that is moved to another mesh leaves the first one, for who follows the changes", async () => {
  const { store } = await open("one");
  const seen: string[] = [];
  const stop = new AbortController();
  const following = (async () => {
    for await (const change of store.changes(stop.signal)) {
      if (change.kind === "put") seen.push(`put ${change.resource.mesh}`);
      if (change.kind === "delete") seen.push(`delete ${change.key.mesh}`);
    }
  })();
  await store.create({ ...key, spec: { networking } });
  await stage.request("PATCH", `${path}/web`, { mesh: "pilot" }, { contentType: "application/merge-patch+json" });
  await eventually("it has moved", () => seen.length === 3);
  assert.equal(seen, ["put default", "delete default", "put pilot"]);
  assert.is(await store.get(key), undefined);
  stop.abort();
  await following;
});

test("in a namespace that does not exist yet a write is refused for now, and Leases are made once it does", async () => {
  system = "later";
  const one = await open("early");
  const secret = { type: "Secret", mesh: "default", name: "builtinca.default", spec: { value: "MQ==" } };
  const refused = await one.store.create(secret).catch((error: unknown) => error);
  assert.is(refused instanceof StoreError && refused.kind, "unavailable");
  assert.is(one.store.available, true);
  await stage.request("POST", "/api/v1/namespaces", { metadata: { name: "later" } });
  await one.store.create(secret);
  await eventually("it leads", () => leads(one));
  const { body } = await stage.request("GET", "/api/v1/namespaces/later/secrets/builtinca.default");
  const { type, data, metadata } = body as { type: string; data: object; metadata: { labels: object } };
  assert.equal(
    [type, data, metadata.labels],
    ["system.kuma.io/secret", { value: "MQ==" }, { "kuma.io/mesh": "default" }],
  );
});

test("objects that can't be read are listed for checks, until they can be", async () => {
  const { kubernetes, store } = await open("one");
  const object = {
    apiVersion: "kuma.io/v1alpha1",
    kind: "Dataplane",
    metadata: { name: "bad" },
    spec: { networking: 1 },
  };
  await stage.request("POST", path, object);
  await eventually("it is skipped", () => kubernetes?.skipped().length === 1);
  const [skipped] = kubernetes?.skipped() ?? [];
  assert.equal([skipped?.type, skipped?.name, skipped?.namespace], ["Dataplane", "bad", "demo"]);
  assert.match(skipped?.reason ?? "", /networking/);
  assert.is(await store.get({ ...key, name: "bad.demo" }), undefined);
  await stage.request("DELETE", `${path}/bad`);
  await eventually("it is skipped no more", () => kubernetes?.skipped().length === 0);
});

test.run();
