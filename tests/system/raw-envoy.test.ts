import { execFile } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import * as assert from "uvu/assert";
import { type RawEnvoyResource, readRaw } from "../../src/envoy/raw/native.js";
import { bin } from "../support/executable.js";
import { suite } from "../support/suite.js";
import { address, upgradeCases } from "../unit/envoy/raw-cases.js";

const test = suite("a real Envoy accepts raw resources of v2", { needs: "envoy" });

let directory: string;
test.before(() => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), "kuma-test-"));
});
test.after(() => fs.rmSync(directory, { recursive: true, force: true }));

const manager = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
const router = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router";

/** A listener that uses the routes, the way they are looked at in a static configuration. */
const listenerOf = (routeConfig: unknown) => ({
  name: "l",
  address,
  filterChains: [
    {
      filters: [
        {
          name: "http",
          typedConfig: {
            "@type": manager,
            statPrefix: "x",
            routeConfig,
            httpFilters: [{ name: "router", typedConfig: { "@type": router } }],
          },
        },
      ],
    },
  ],
});

const tcpProxy = {
  name: "envoy.filters.network.tcp_proxy",
  typedConfig: {
    "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
    statPrefix: "x",
    cluster: "c",
  },
};
const last = /\.(tcp_proxy|http_connection_manager|redis_proxy|echo|direct_response)$/;

interface Chain {
  readonly filters?: readonly { readonly name: string }[];
}

/** The listener with filter chains that lead somewhere: most cases are about something else. */
function complete({ filterChains = [{}], ...listener }: { readonly filterChains?: readonly Chain[] }): unknown {
  const chains = filterChains.map(({ filters = [], ...chain }) => {
    const ends = last.test(filters.at(-1)?.name ?? "");
    return { ...chain, filters: ends ? filters : [...filters, tcpProxy] };
  });
  return { ...listener, filterChains: chains };
}

function bootstrap({ kind, json }: RawEnvoyResource): unknown {
  const others = ["c", "d"].map((name) => ({ name, type: "STATIC", connectTimeout: "1s" }));
  switch (kind) {
    case "cds":
      return { staticResources: { clusters: [json, others[1]] } };
    case "lds":
      return { staticResources: { clusters: others, listeners: [complete(json)] } };
    case "rds":
      return { staticResources: { clusters: others, listeners: [listenerOf(json)] } };
    case "sds":
      return { staticResources: { secrets: [json] } };
    case "eds":
      throw new Error("a static configuration has no place for an assignment");
  }
}

/** What Envoy says of a configuration; empty when it takes it. */
function refusal(config: unknown): Promise<string> {
  const file = path.join(directory, "bootstrap.json");
  fs.writeFileSync(file, JSON.stringify(config));
  const args = ["--mode", "validate", "-c", file, "--concurrency", "1", "--log-level", "critical"];
  return new Promise((resolve) => {
    execFile(path.join(bin, "envoy"), args, (error, stdout, stderr) => resolve(error === null ? "" : stdout + stderr));
  });
}

for (const { what, v2, unasked } of upgradeCases) {
  if (unasked !== undefined) continue;
  test(what, async () => {
    const reading = readRaw(JSON.stringify(v2));
    if (!reading.valid) throw new Error(JSON.stringify(reading.problems));
    assert.is(await refusal(bootstrap(reading.raw)), "");
  });
}

test.run();
