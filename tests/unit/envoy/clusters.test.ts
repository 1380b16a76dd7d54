import * as assert from "uvu/assert";
import { type GeneratorOptions, generate } from "../../../src/envoy/generate.js";
import { createPlacement } from "../../../src/envoy/placement.js";
import type { MeshView } from "../../../src/view/mesh-view.js";
import { dataplane, meshRecord, meshViewOf, stored } from "../../support/mesh-view.js";
import { suite } from "../../support/suite.js";

const test = suite("a service's cluster, which all its clients share");

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

/** The version of a proxy's cluster for the service. */
function clusterVersion(
  mesh: MeshView,
  name: string,
  tokenPath: string | undefined,
  options: GeneratorOptions,
): string {
  const proxy = mesh.proxies.get(name);
  if (proxy === undefined) throw new Error(`there is no ${name}`);
  const cluster = generate(proxy, mesh, options, createPlacement({ tokenPath })).config.cds.get("redis");
  return cluster?.version ?? "none";
}

test("is the same resource for proxies with equal inputs, and never that of others", () => {
  const mesh = meshViewOf(meshRecord(), ...resources);
  const options: GeneratorOptions[] = [
    { connectTimeoutMs: 5000, secretServer: server },
    { connectTimeoutMs: 1000, secretServer: server },
    { connectTimeoutMs: 5000, secretServer: { target: "other:5677", root: "root" } },
  ];
  // More token paths than the cache holds.
  const tokenPaths = [undefined, ...Array.from({ length: 20 }, (_, index) => `/token-${index}`)];
  const versions = new Set<string>();
  for (let round = 0; round < 2; round++) {
    for (const path of tokenPaths) {
      for (const around of options) {
        for (const name of ["web", "api", "cron", "web"]) {
          const fresh = meshViewOf(meshRecord(), ...resources);
          const version = clusterVersion(mesh, name, path, around);
          assert.is(version, clusterVersion(fresh, name, path, around));
          versions.add(version);
        }
      }
    }
  }
  assert.is(versions.size, tokenPaths.length * options.length * 3);
});

test("changes with the mesh: another policy, another cluster", () => {
  const around = { connectTimeoutMs: 5000, secretServer: server };
  const before = clusterVersion(meshViewOf(meshRecord(), ...resources), "web", "token", around);
  const after = clusterVersion(meshViewOf(meshRecord(), ...resources, check("web", "30s")), "web", "token", around);
  const plain = clusterVersion(meshViewOf(meshRecord(false), ...resources), "web", "token", around);
  assert.is(new Set([before, after, plain]).size, 3);
  assert.is(clusterVersion(meshViewOf(meshRecord(), ...resources), "web", "token", around), before);
});

test.run();
