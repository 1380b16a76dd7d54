import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import * as assert from "uvu/assert";
import { type LoadedControlPlane, startLoadedControlPlane } from "../bench/load/control-plane.js";
import { type Fleet, openFleet } from "../bench/load/fleet.js";
import { createLoadMesh } from "../bench/load/mesh.js";
import { revive, timeOfChange, timeOfReturn, wantedOnReturn } from "../bench/load/scenarios.js";
import type { Mode } from "../bench/storm-dialect.js";
import { type Wanted, wantedBy } from "../bench/storm-proxy.js";
import { eventually } from "../support/eventually.js";
import { suite } from "../support/suite.js";

const size = { dataplanes: 50, services: 10, outbounds: 3, policies: 10, mtls: true };
const halted = 5;

/** The scenarios of bench:xds with 50 proxies, as tests of which proxies get which updates. */
export function loadScenarios(mode: Mode): void {
  const test = suite(`50 proxies that speak ${mode} on one control plane`);
  const mesh = createLoadMesh(size);
  const options = { mode, secrets: true, persistent: true } as const;
  const listening = new Set(mesh.proxies.slice(0, -halted));

  let directory: string;
  let cp: LoadedControlPlane;
  let fleet: Fleet;

  /** How many responses of each kind came while something was done; the last ones may arrive a moment later. */
  async function heardDuring(action: () => Promise<unknown>): Promise<Partial<Record<Wanted, number>>> {
    const before = (await fleet.count()).traffic;
    await action();
    const { traffic } = await fleet.count();
    const kinds = Object.keys(traffic) as Wanted[];
    const counts = kinds.map((what) => [what, (traffic[what]?.responses ?? 0) - (before[what]?.responses ?? 0)]);
    return Object.fromEntries(counts.filter(([, count]) => count !== 0));
  }

  /** Resolves when nothing more is on its way. */
  async function settled(): Promise<void> {
    let last = "";
    await eventually("nothing more is on its way", async () => {
      const present = JSON.stringify((await fleet.count()).traffic);
      const same = present === last;
      last = present;
      // Longer than changes are gathered for.
      if (!same) await sleep(200);
      return same;
    });
  }

  async function metric(line: string): Promise<number> {
    const text = await (await fetch(`${cp.health()}/metrics`)).text();
    const found = text.split("\n").find((one) => one.startsWith(`${line} `));
    assert.ok(found !== undefined, `there is no ${line}`);
    return Number(found.slice(line.length + 1));
  }

  test.before(async () => {
    directory = mkdtempSync(path.join(tmpdir(), "kuma-load-"));
    cp = await startLoadedControlPlane(directory, "memory");
    await cp.fill(mesh);
    const proxies = await cp.tokens(mesh);
    fleet = await openFleet({ servers: cp.servers, proxies, options, apart: halted });
  });

  test.after(async () => {
    await fleet?.close();
    await cp?.close();
    rmSync(directory, { recursive: true, force: true });
  });

  test("all connect at once, and each gets every resource once", async () => {
    const heard = await heardDuring(() => fleet.connect());
    assert.equal(heard, { cds: 50, eds: 50, lds: 50, mesh_ca: 50, identity_cert: 50 });
  });

  test("an endpoint that moves is sent once to its clients, and to no other proxy", async () => {
    assert.is(mesh.consumers, 15);
    for (const round of [1, 2, 3]) {
      const heard = await heardDuring(() => timeOfChange(cp, fleet, mesh.moveEndpoint(round)));
      assert.equal(heard, { eds: 15 });
    }
  });

  test("a permission for all dataplanes is sent to all: one listener each, and nothing else", async () => {
    for (const round of [1, 2]) {
      const heard = await heardDuring(() => timeOfChange(cp, fleet, mesh.permitEverywhere(round)));
      assert.equal(heard, { lds: 50 });
    }
  });

  test("a health check for all dataplanes is sent to all: their clusters with the endpoints", async () => {
    const heard = await heardDuring(() => timeOfChange(cp, fleet, mesh.checkEverywhere(1)));
    assert.equal(heard, { cds: 50, eds: 50 });
  });

  test("every dataplane changes in turn, and all proxies have the latest state of their upstreams", async () => {
    const heard = await heardDuring(() => timeOfChange(cp, fleet, mesh.roll(1)));
    assert.ok((heard.eds ?? 0) >= 50, JSON.stringify(heard));
  });

  test("proxies that neither read nor answer get no outdated state once they do, and delay no other", async () => {
    const rounds = 100;
    const last = mesh.moveEndpoint(100 + rounds);
    const only = (of: (name: string) => boolean) =>
      last.expected.map(({ proxies, wants }) => ({ proxies: proxies.filter(of), wants }));
    const deaf = only((name) => !listening.has(name));
    const [deafOnes, awakeOnes] = [deaf, only((name) => listening.has(name))].map(
      (expected) => expected[0]?.proxies.length ?? 0,
    ) as [number, number];
    assert.ok(deafOnes > 0, "some of them send to it");

    await settled();
    const before = (await fleet.count()).traffic.eds?.responses ?? 0;
    // Who is halted can't be asked any more.
    const seen = await fleet.watch(deaf);
    fleet.halt(true, "apart");
    for (let round = 101; round <= 100 + rounds; round++) {
      const { writes, expected } = mesh.moveEndpoint(round);
      const awake = expected.map(({ proxies, wants }) => ({
        proxies: proxies.filter((name) => listening.has(name)),
        wants,
      }));
      await timeOfChange(cp, fleet, { writes, expected: awake });
    }
    fleet.halt(false, "apart");
    await seen();
    await settled();
    const heard = ((await fleet.count()).traffic.eds?.responses ?? 0) - before;
    // Of a hundred states the deaf get the one that was on its way, and the newest.
    const byTheDeaf = heard - rounds * awakeOnes;
    assert.ok(byTheDeaf >= deafOnes && byTheDeaf <= 2 * deafOnes, `${byTheDeaf} responses for ${deafOnes} proxies`);
  });

  test("Prometheus metrics show what happened", async () => {
    assert.is(await metric("xds_streams_active"), 50);
    assert.is(await metric("sds_streams_active"), 100);
    const cds = 'type_url="type.googleapis.com/envoy.config.cluster.v3.Cluster"';
    const acknowledged = await metric(`xds_requests_received{${cds},confirmation="ACK"}`);
    assert.is(acknowledged, await metric(`xds_responses_sent{${cds}}`));
    assert.ok(acknowledged >= 100);
    assert.is(await metric(`xds_requests_received{${cds},confirmation="NACK"}`), 0);
    for (const name of ["xds_generation_count", "xds_delivery_count", "xds_snapshot_bytes_count"])
      assert.ok((await metric(name)) >= 50, name);
    assert.is(await metric("xds_generation_errors"), 0);
    assert.ok((await metric('store_count{operation="create",resource_type="Dataplane"}')) >= 50);
    assert.ok(Number.isFinite(await metric("nodejs_eventloop_lag_p99_seconds")));
    assert.ok((await metric("process_resident_memory_bytes")) > 10_000_000);
  });

  test("killed and restarted, the control plane has all proxies back, and only sends them what is new", async () => {
    const wants = wantedOnReturn(wantedBy(options), mode).map((what) => ({ what }));
    const expected = [{ proxies: mesh.proxies, wants }];
    const heard = await heardDuring(() => timeOfReturn(fleet, expected, () => revive(cp, fleet, mesh, "memory")));
    for (const { what } of wants) assert.ok((heard[what] ?? 0) >= 50, `${what}: ${JSON.stringify(heard)}`);
    await settled();
    assert.is(await metric("xds_streams_active"), 50);
  });

  test.run();
}
