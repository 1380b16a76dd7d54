import * as assert from "uvu/assert";
import { generate, type Surroundings } from "../../../src/envoy/generate.js";
import { createPlacement } from "../../../src/envoy/placement.js";
import type { MeshView } from "../../../src/view/mesh-view.js";
import { dataplane, meshRecord, meshViewOf, stored } from "../../support/mesh-view.js";
import { suite } from "../../support/suite.js";

const test = suite("a service's cluster, which all its consumers share");

const consumer = (service: string) =>
  dataplane(service, {
    inbound: [{ interface: "127.0.0.1:8000:80", tags: { service } }],
    outbound: [{ interface: ":10000", service: "redis" }],
  });

const check = (source: string, interval: string) =>
  stored("HealthCheck", `from-${source}`, {
    sources: [{ match: { service: source } }],
    destinations: [{ match: { service: "redis" } }],
    conf: { activeChecks: { interval, timeout: "1s", unhealthyThreshold: 3, healthyThreshold: 1 } },
  });

const resources = [consumer("web"), consumer("api"), consumer("cron"), check("web", "10s"), check("api", "20s")];

const server = { target: "cp:5677", root: "root" };

/** What a proxy is told of the service, as a version. */
function told(mesh: MeshView, name: string, tokenPath: string | undefined, surroundings: Surroundings): string {
  const proxy = mesh.proxies.get(name);
  if (proxy === undefined) throw new Error(`there is no ${name}`);
  const cluster = generate(proxy, mesh, surroundings, createPlacement({ tokenPath })).config.cds.get("redis");
  return cluster?.version ?? "none";
}

test("is the same for proxies that differ in nothing it says, and never another's", () => {
  const mesh = meshViewOf(meshRecord(), ...resources);
  const surroundings: Surroundings[] = [
    { connectTimeoutMs: 5000, secretServer: server },
    { connectTimeoutMs: 1000, secretServer: server },
    { connectTimeoutMs: 5000, secretServer: { target: "other:5677", root: "root" } },
  ];
  // More token paths than are remembered.
  const tokenPaths = [undefined, ...Array.from({ length: 20 }, (_, index) => `/token-${index}`)];
  const versions = new Set<string>();
  for (let round = 0; round < 2; round++) {
    for (const path of tokenPaths) {
      for (const around of surroundings) {
        for (const name of ["web", "api", "cron", "web"]) {
          const fresh = meshViewOf(meshRecord(), ...resources);
          const version = told(mesh, name, path, around);
          assert.is(version, told(fresh, name, path, around));
          versions.add(version);
        }
      }
    }
  }
  assert.is(versions.size, tokenPaths.length * surroundings.length * 3);
});

test("follows the mesh: another policy, another cluster", () => {
  const around = { connectTimeoutMs: 5000, secretServer: server };
  const before = told(meshViewOf(meshRecord(), ...resources), "web", "token", around);
  const after = told(meshViewOf(meshRecord(), ...resources, check("web", "30s")), "web", "token", around);
  const plain = told(meshViewOf(meshRecord(false), ...resources), "web", "token", around);
  assert.is(new Set([before, after, plain]).size, 3);
  assert.is(told(meshViewOf(meshRecord(), ...resources), "web", "token", around), before);
});

test.run();
