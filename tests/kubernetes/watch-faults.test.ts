// deadline: 400 s
import { randomUUID } from "node:crypto";
import * as assert from "uvu/assert";
import { createKubeClient } from "../../src/kubeapi/client.js";
import { loadCredentials } from "../../src/kubeapi/credentials.js";
import { kubeLimits } from "../../src/kubeapi/limits.js";
import { createLogger } from "../../src/lib/logger.js";
import { dataplaneType } from "../../src/resources/dataplane.js";
import { registry } from "../../src/resources/registry.js";
import type { OpenedStore } from "../../src/store/kind.js";
import { openKubernetesStore } from "../../src/store/kubernetes/open.js";
import { type Store, StoreError } from "../../src/store/store.js";
import { eventually } from "../support/eventually.js";
import { type KubernetesStage, startKubernetesStage } from "../support/kubernetes-store.js";
import { suite } from "../support/suite.js";
import { expired, type FaultProxy, startFaultProxy } from "./fault-proxy.js";

const test = suite("watches of the Kubernetes store", { needs: "kubernetes" });

/** The bound of the promise: changes are seen within this after the fault has ended. */
const recoveryMs = 15_000;
/** Every kind that is watched, Secrets included. */
const watched = registry.types.filter(
  ({ name, feeds, kubernetes }) => feeds && (kubernetes !== undefined || name === "Secret"),
).length;

let stage: KubernetesStage;
let proxy: FaultProxy;
let system: string;

test.before(async () => {
  stage = await startKubernetesStage(["demo"]);
  proxy = await startFaultProxy(stage, stage.issuer);
  system = await stage.emptied();
});
test.after(async () => {
  await proxy.close();
  await stage.stop();
});

/** A store, and what who follows its feed knows. */
interface Follower {
  readonly opened: OpenedStore;
  /** The services of all Dataplanes, by name. */
  readonly services: ReadonlyMap<string, string>;
  /** Names whose deletion was announced. */
  readonly deleted: ReadonlySet<string>;
  /** Listings after the first one. */
  readonly listings: () => number;
  stop(): Promise<void>;
}

const serviceOf = (spec: unknown) =>
  (spec as { networking: { inbound: { tags: { service: string } }[] } }).networking.inbound[0]?.tags.service ?? "";

async function follow(silenceMs?: number): Promise<Follower> {
  const kubeconfig = stage.writeKubeconfig(stage.token, proxy.url);
  const opened = await openKubernetesStore({
    client: createKubeClient(await loadCredentials({ kubeconfig })),
    systemNamespace: system,
    registry,
    logger: createLogger({ name: "store", level: "off" }),
    instanceId: randomUUID(),
    signal: new AbortController().signal,
    timing: { silenceMs },
  });
  const services = new Map<string, string>();
  const deleted = new Set<string>();
  let listings = -1;
  const stopping = new AbortController();
  const following = (async () => {
    for await (const change of opened.store.changes(stopping.signal)) {
      if (change.kind === "listing") {
        listings += 1;
        for (const { type, name, spec } of change.resources)
          if (type === "Dataplane") services.set(name, serviceOf(spec));
      } else if (change.kind === "put") {
        if (change.resource.type === "Dataplane") services.set(change.resource.name, serviceOf(change.resource.spec));
      } else {
        services.delete(change.key.name);
        deleted.add(change.key.name);
      }
    }
  })();
  return {
    opened,
    services,
    deleted,
    listings: () => listings,
    async stop() {
      stopping.abort();
      await following;
      await opened.store.close();
    },
  };
}

const dataplanes = "/apis/kuma.io/v1alpha1/namespaces/demo/dataplanes";
const dataplane = (name: string, service: string) => ({
  apiVersion: "kuma.io/v1alpha1",
  kind: "Dataplane",
  mesh: "default",
  metadata: { name, namespace: "demo" },
  spec: { networking: { inbound: [{ interface: "10.0.0.1:8080:8080", tags: { service } }] } },
});

async function write(method: string, path: string, body?: unknown): Promise<void> {
  const contentType = method === "PATCH" ? "application/merge-patch+json" : "application/json";
  const { status } = await stage.request(method, path, body, { contentType });
  if (status >= 300) throw new Error(`${method} ${path}: ${status}`);
}

let round = 0;

/**
 * Before the fault there are three Dataplanes. While it lasts one is made, one changed and one deleted; after it has
 * ended, each of that has to be seen, and nothing else.
 */
async function survives(
  fault: {
    begin(): void | Promise<void>;
    end(): void | Promise<void>;
    during?(store: Store, kept: string): Promise<void>;
  },
  silenceMs?: number,
): Promise<void> {
  const prefix = `f${++round}`;
  const [kept, changed, gone, made] = ["kept", "changed", "gone", "made"].map((word) => `${prefix}-${word}`);
  for (const name of [kept, changed, gone]) await write("POST", dataplanes, dataplane(name ?? "", "before"));
  const follower = await follow(silenceMs);
  const { services } = follower;
  try {
    await eventually("everything is known before", () => services.has(`${gone}.demo`));
    await eventually("every kind is watched", () => proxy.watches() === watched);
    await fault.begin();
    await write("POST", dataplanes, dataplane(made ?? "", "after"));
    await write("PATCH", `${dataplanes}/${changed}`, dataplane(changed ?? "", "after"));
    await write("DELETE", `${dataplanes}/${gone}`);
    await fault.during?.(follower.opened.store, `${kept}.demo`);
    await fault.end();
    await eventually(
      "every change is seen",
      () =>
        services.get(`${made}.demo`) === "after" &&
        services.get(`${changed}.demo`) === "after" &&
        !services.has(`${gone}.demo`),
      recoveryMs,
    );
    assert.is(services.get(`${kept}.demo`), "before");
    assert.equal([...follower.deleted], [`${gone}.demo`]);
    assert.is(follower.listings(), 0);
    await eventually("one watch a kind is open again", () => proxy.watches() === watched);
    await eventually("no connection is left over", () => proxy.connections <= watched + kubeLimits.connections);
    await eventually("it is available", () => follower.opened.store.available);
    for (const name of [kept, changed, made]) await write("DELETE", `${dataplanes}/${name}`);
    await eventually("later changes are seen as well", () => !services.has(`${kept}.demo`));
  } finally {
    proxy.heal();
    await follower.stop();
  }
  await eventually("a closed store leaves no connection", () => proxy.connections === 0);
}

test("cut connections are made again, and what happened meanwhile is seen", () =>
  survives({
    begin() {
      proxy.answer({}, { status: 503 });
      proxy.cut();
    },
    end: () => proxy.heal(),
  }));

test("a watch whose version is too old lists again, which shows deletions", async () => {
  const before = proxy.answered(200);
  await survives({
    begin() {
      proxy.answer({ verb: "watch" }, expired);
      proxy.cut();
    },
    end: () => proxy.heal(),
  });
  assert.ok(proxy.answered(200) - before < 200, "it does not ask in a tight loop");
});

test("an API server that is overloaded is asked again when it says so", async () => {
  const before = proxy.answered(429);
  await survives({
    begin() {
      proxy.throttle({}, 1);
      proxy.cut();
    },
    during: async () => void (await eventually("requests were refused", () => proxy.answered(429) - before > watched)),
    end: () => proxy.heal(),
  });
  assert.ok(proxy.answered(429) - before < 100, `${proxy.answered(429) - before} refused requests`);
});

test("internal errors of the API server, one after another, end nothing for good", () =>
  survives({
    begin() {
      proxy.answer({}, { status: 500 });
      proxy.cut();
    },
    end: () => proxy.heal(),
  }));

test("a connection that stalls goes on where it was", () =>
  survives({ begin: () => proxy.stall(), end: () => proxy.heal() }));

test("a watch that is silent for too long is replaced", () =>
  survives({ begin: () => proxy.abandon(), end: () => {} }, 3_000));

test("answers that are none of Kubernetes count as faults, and are repaired alike", () =>
  survives({
    begin() {
      proxy.answer({}, { status: 200, body: "<html>\n" });
      proxy.cut();
    },
    end: () => proxy.heal(),
  }));

test("while the API server is away reads are served from memory; it and etcd, compacted, come back without a loss", () =>
  survives({
    begin() {
      proxy.answer({}, { status: 503 });
      proxy.cut();
    },
    async during(store, kept) {
      await stage.compact();
      await stage.apiServer.kill();
      await stage.etcd.stop();
      await eventually("it is unavailable", () => !store.available);
      const key = { type: "Dataplane", mesh: "default", name: kept };
      assert.is(serviceOf((await store.get(key))?.spec), "before");
      assert.ok((await store.list(dataplaneType)).some(({ name }) => name === kept));
      const refused = await store.delete(key).catch((error: unknown) => error);
      assert.is(refused instanceof StoreError && refused.kind, "unavailable");
      stage.etcd.start();
      stage.apiServer.start();
      await stage.ready();
    },
    end: () => proxy.heal(),
  }));

test.run();
