import { createHistogram } from "node:perf_hooks";
import * as assert from "uvu/assert";
import { measuredStore } from "../../../src/cp/metrics/measured-store.js";
import { eventLoopLags, startMetrics } from "../../../src/cp/metrics/metrics.js";
import { both } from "../../../src/cp/metrics/observers.js";
import { generate } from "../../../src/envoy/generate.js";
import { defaultPlacement } from "../../../src/envoy/placement.js";
import { meshType } from "../../../src/resources/mesh.js";
import { registry } from "../../../src/resources/registry.js";
import { createMemoryStore } from "../../../src/store/memory.js";
import type { Stored } from "../../../src/store/store.js";
import { versionOf } from "../../../src/store/version.js";
import type { StreamObserver } from "../../../src/xds/observer.js";
import { dataplane, meshRecord, meshViewOf } from "../../support/mesh-view.js";
import { suite } from "../../support/suite.js";

const test = suite("metrics");

/** The value of one line of the text format. */
const sample = (text: string, line: string): number | undefined => {
  const found = text.split("\n").find((candidate) => candidate.startsWith(`${line} `));
  return found === undefined ? undefined : Number(found.slice(line.length + 1));
};

const cds = "type.googleapis.com/envoy.config.cluster.v3.Cluster";
const at = (milliseconds: number) => new Date(Date.parse("2026-01-01T00:00:00Z") + milliseconds);

test("event loop delays exclude the sampling interval", async () => {
  const looks = createHistogram();
  assert.equal(eventLoopLags(looks, 100), { max: 0, p50: 0, p90: 0, p99: 0 });
  for (let look = 0; look < 95; look++) looks.record(100_000_000);
  for (let look = 0; look < 5; look++) looks.record(350_000_000);
  const lags = eventLoopLags(looks, 100);
  const rounded = Object.fromEntries(Object.entries(lags).map(([what, seconds]) => [what, seconds.toFixed(2)]));
  assert.equal(rounded, { max: "0.25", p50: "0.00", p90: "0.00", p99: "0.25" });
  const text = await startMetrics().text();
  for (const what of Object.keys(lags)) assert.is(sample(text, `nodejs_eventloop_lag_${what}_seconds`), 0);
  assert.is(sample(text, "nodejs_eventloop_lag_min_seconds"), undefined);
});

test("answers of proxies are counted by type and kind, and timed from their response", async () => {
  const metrics = startMetrics();
  const { observer } = metrics;
  observer.opened({ id: "a", mesh: "m", name: "x", at: at(0) });
  observer.sent("a", "cds", at(10));
  observer.acknowledged("a", "cds", at(14));
  observer.sent("a", "cds", at(20));
  observer.rejected("a", "cds", at(50), "no");
  observer.closed("a", at(60));
  const text = await metrics.text();
  assert.is(sample(text, `xds_responses_sent{type_url="${cds}"}`), 2);
  assert.is(sample(text, `xds_requests_received{type_url="${cds}",confirmation="ACK"}`), 1);
  assert.is(sample(text, `xds_requests_received{type_url="${cds}",confirmation="NACK"}`), 1);
  assert.is(sample(text, "xds_delivery_count"), 2);
  assert.is(sample(text, "xds_delivery_sum"), 34);
  assert.is(sample(text, 'xds_delivery_bucket{le="5"}'), 1);
});

test("what is generated is counted and its size told; what can't be is an error, and thrown on", async () => {
  const metrics = startMetrics();
  const mesh = meshViewOf(
    meshRecord(false),
    dataplane("web-1", { inbound: [{ interface: "127.0.0.1:1:2", tags: { service: "web" } }] }),
  );
  const proxy = mesh.proxies.get("web-1");
  if (proxy === undefined) throw new Error("there is no proxy");
  const plain = { connectTimeoutMs: 1, secretServer: undefined };
  const measured = metrics.measured((...[one, all, path]) => generate(one, all, plain, path));
  const { config } = measured(proxy, mesh, defaultPlacement, undefined) ?? {};
  const waits = metrics.measured(() => undefined);
  assert.is(waits(proxy, mesh, defaultPlacement, undefined), undefined);
  const broken = metrics.measured(() => {
    throw new Error("on purpose");
  });
  assert.throws(() => broken(proxy, mesh, defaultPlacement, undefined), "on purpose");
  const bytes = [...(config?.cds.values() ?? []), ...(config?.lds.values() ?? [])].map((one) => one.bytes.length);
  const text = await metrics.text();
  assert.is(sample(text, "xds_generation_count"), 1);
  assert.is(sample(text, "xds_generation_errors"), 1);
  assert.is(sample(text, "xds_snapshot_resources_sum"), 2);
  assert.is(
    sample(text, "xds_snapshot_bytes_sum"),
    bytes.reduce((sum, one) => sum + one, 0),
  );
});

test("streams are looked up when somebody asks", async () => {
  const metrics = startMetrics();
  assert.is(sample(await metrics.text(), "xds_streams_active"), 0);
  let xds = 3;
  metrics.countStreams({ xds: () => xds, sds: () => 2 });
  assert.is(sample(await metrics.text(), "xds_streams_active"), 3);
  xds = 1;
  const text = await metrics.text();
  assert.is(sample(text, "xds_streams_active"), 1);
  assert.is(sample(text, "sds_streams_active"), 2);
});

test("a measured store behaves like the store, and measures each operation, failed ones too", async () => {
  const operations: string[] = [];
  const conflicts: string[] = [];
  const store = measuredStore(createMemoryStore(registry), {
    storeOperation: (operation, type, took) => void operations.push(`${operation} ${type} ${took >= 0}`),
    storeConflict: (type) => void conflicts.push(type),
  });
  const mesh = { type: "Mesh", mesh: "m", name: "m", spec: {} };
  const created = await store.create(mesh);
  assert.is((await store.get(mesh))?.version, created.version);
  await store.update(mesh, created.version);
  const refusal = await store.update(mesh, versionOf(99)).catch((error: unknown) => error);
  assert.is((refusal as { kind: string }).kind, "conflict");
  const insight = { type: "DataplaneInsight", mesh: "m", name: "d", spec: {} };
  const [first, second] = await store.writeAll([
    { resource: insight, version: undefined },
    { resource: mesh, version: versionOf(99) },
  ]);
  assert.is((first as Stored).version, versionOf(1));
  assert.is((second as { kind: string }).kind, "conflict");
  assert.is((await store.list(meshType)).length, 1);
  await store.delete(insight);
  await store.deleteMesh("m");
  assert.is(await store.get(mesh), undefined);
  assert.equal(conflicts, ["Mesh", "Mesh"]);
  assert.equal(operations, [
    "create Mesh true",
    "get Mesh true",
    "update Mesh true",
    "update Mesh true",
    "write several true",
    "list Mesh true",
    "delete DataplaneInsight true",
    "delete several true",
    "get Mesh true",
  ]);
});

test("two combined observers receive every event", () => {
  const heard: string[] = [];
  const named = (name: string): StreamObserver => ({
    opened: () => void heard.push(`${name} opened`),
    sent: (_id, kind) => void heard.push(`${name} sent ${kind}`),
    acknowledged: (_id, kind) => void heard.push(`${name} acknowledged ${kind}`),
    rejected: (_id, kind, _at, reason) => void heard.push(`${name} rejected ${kind} ${reason}`),
    refusing: (_id, refused) => void heard.push(`${name} refusing ${refused.length}`),
    closed: () => void heard.push(`${name} closed`),
  });
  const observer = both(named("one"), named("two"));
  observer.opened({ id: "a", mesh: "m", name: "x", at: at(0) });
  observer.sent("a", "cds", at(0));
  observer.acknowledged("a", "cds", at(0));
  observer.rejected("a", "lds", at(0), "no");
  observer.refusing("a", [], at(0));
  observer.closed("a", at(0));
  const each = ["opened", "sent cds", "acknowledged cds", "rejected lds no", "refusing 0", "closed"];
  assert.equal(
    heard,
    each.flatMap((what) => [`one ${what}`, `two ${what}`]),
  );
});

test.run();
