import { type ChildProcess, spawn } from "node:child_process";
import fs from "node:fs";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import * as assert from "uvu/assert";
import { generate } from "../../src/envoy/generate.js";
import { startViewFeed } from "../../src/feed/feed.js";
import { createLogger } from "../../src/lib/logger.js";
import { registry } from "../../src/resources/registry.js";
import { createMemoryStore } from "../../src/store/memory.js";
import { versionOf } from "../../src/store/version.js";
import type { StreamObserver } from "../../src/xds/observer.js";
import { startXdsServer, type XdsServer } from "../../src/xds/server.js";
import { eventually } from "../support/eventually.js";
import { freePort } from "../support/ports.js";
import { suite } from "../support/suite.js";

/** The scenarios that a real Envoy goes through, whichever of the two protocols it speaks. */
export function discoveryScenarios(apiType: "DELTA_GRPC" | "GRPC"): void {
  const test = suite(`our discovery server and a real Envoy that speaks ${apiType}`, { needs: "envoy" });

  const bin = process.env.KUMA_BIN ?? "dist/bin";
  const logger = createLogger({ name: "test", level: "off" });
  const store = createMemoryStore(registry);
  const shape = { connectTimeoutMs: 5000 };
  const counts = { sent: 0, acknowledged: 0, rejected: [] as string[] };
  const observer: StreamObserver = {
    opened() {},
    sent: () => void counts.sent++,
    acknowledged: () => void counts.acknowledged++,
    rejected: (_id, kind, _at, reason) => void counts.rejected.push(`${kind}: ${reason}`),
    refusing() {},
    closed() {},
  };

  let server: XdsServer;
  let envoy: ChildProcess;
  let directory: string;
  let admin: number;
  let inbound: number;
  let outbound: number;
  let workload: net.Server;

  const adminText = async (path: string) => (await fetch(`http://127.0.0.1:${admin}${path}`)).text();

  function bootstrap(xdsPort: number): string {
    const source = { ads: {}, resourceApiVersion: "V3", initialFetchTimeout: "0s" };
    const options = "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
    const address = (port: number) => ({ socketAddress: { address: "127.0.0.1", portValue: port } });
    return JSON.stringify({
      node: { id: "default.both-1", cluster: "both" },
      admin: { address: address(admin) },
      dynamicResources: {
        ldsConfig: source,
        cdsConfig: source,
        adsConfig: {
          apiType,
          transportApiVersion: "V3",
          setNodeOnFirstMessageOnly: true,
          grpcServices: [{ envoyGrpc: { clusterName: "ads_cluster" } }],
        },
      },
      staticResources: {
        clusters: [
          {
            name: "ads_cluster",
            type: "STATIC",
            connectTimeout: "1s",
            typedExtensionProtocolOptions: {
              "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": options,
                explicitHttpConfig: { http2ProtocolOptions: {} },
              },
            },
            loadAssignment: {
              clusterName: "ads_cluster",
              endpoints: [{ lbEndpoints: [{ endpoint: { address: address(xdsPort) } }] }],
            },
          },
        ],
      },
    });
  }

  const spec = (outbounds: readonly { interface: string; service: string }[]) => ({
    networking: {
      inbound: [
        {
          interface: `127.0.0.1:${inbound}:${(workload.address() as net.AddressInfo).port}`,
          tags: { service: "redis", version: "1.0" },
        },
      ],
      outbound: outbounds,
    },
  });

  /** Sends bytes through a port and waits for the same bytes. */
  function echo(port: number, text: string): Promise<string> {
    return new Promise((resolve, reject) => {
      let received = "";
      const socket = net.connect(port, "127.0.0.1", () => socket.write(text));
      socket.on("data", (chunk) => {
        received += chunk.toString();
        if (received.length >= text.length) socket.destroy();
      });
      socket.on("error", reject);
      socket.on("close", () => (received === text ? resolve(received) : reject(new Error(`received "${received}"`))));
    });
  }

  test.before(async () => {
    [admin, inbound, outbound] = [await freePort(), await freePort(), await freePort()];
    workload = net.createServer((socket) => socket.on("error", () => socket.destroy()).pipe(socket));
    await new Promise<void>((resolve) => workload.listen(0, "127.0.0.1", resolve));
    await store.create({ type: "Mesh", mesh: "default", name: "default", spec: {} });
    const feed = await startViewFeed({ changes: store.changes, logger, coalesceMaxMs: 100 });
    server = await startXdsServer({
      port: 0,
      feed,
      observer,
      logger,
      generate: (proxy, mesh) => generate(proxy, mesh, { ...shape, secretServer: undefined }),
    });
    directory = fs.mkdtempSync(path.join(os.tmpdir(), "kuma-test-"));
    const config = path.join(directory, "bootstrap.json");
    fs.writeFileSync(config, bootstrap(server.port));
    const args = ["-c", config, "--disable-hot-restart", "--concurrency", "1", "--drain-time-s", "1", "-l", "error"];
    envoy = spawn(path.join(bin, "envoy"), args, { cwd: directory, stdio: "inherit" });
  });

  test.after(async () => {
    envoy.kill("SIGKILL");
    await server.close();
    workload.close();
    fs.rmSync(directory, { recursive: true, force: true });
  });

  test("a dataplane that is applied after its Envoy connected gets its configuration, and traffic flows", async () => {
    await eventually("Envoy's admin answers", () => adminText("/ready"));
    const own = [{ interface: `:${outbound}`, service: "redis" }];
    await store.create({ type: "Dataplane", mesh: "default", name: "both-1", spec: spec(own) });
    await eventually("bytes come back through both listeners", () => echo(outbound, "hello"));
    const listeners = (await adminText("/listeners")).trim().split("\n").sort();
    assert.equal(listeners, [
      `inbound:127.0.0.1:${inbound}::127.0.0.1:${inbound}`,
      `outbound:127.0.0.1:${outbound}::127.0.0.1:${outbound}`,
    ]);
  });

  test("endpoints carry the tags of their inbound", async () => {
    const dump = await adminText("/config_dump?include_eds");
    const found = /"envoy\.lb":\s*(\{[^}]*\})/.exec(dump)?.[1] ?? "{}";
    assert.equal(JSON.parse(found), { service: "redis", version: "1.0" });
  });

  /** How often Envoy has given up waiting for endpoints, which it does after 15 seconds. */
  async function givenUp(): Promise<number> {
    const stats = await adminText("/stats?filter=^cluster.*init_fetch_timeout");
    const counts = [...stats.matchAll(/init_fetch_timeout: (\d+)/g)].map(([, count]) => Number(count));
    assert.ok(counts.length > 0, stats);
    return counts.reduce((sum, count) => sum + count);
  }

  test("a changed cluster is active as soon as it has its endpoints, each time", async () => {
    for (const timeout of [1000, 4000, 2000]) {
      shape.connectTimeoutMs = timeout;
      const stored = await store.get({ type: "Mesh", mesh: "default", name: "default" });
      await store.update({ type: "Mesh", mesh: "default", name: "default", spec: {} }, stored?.version ?? versionOf(0));
      await eventually(`the cluster is active with a connect timeout of ${timeout} ms`, async () => {
        const dump = JSON.parse(await adminText("/config_dump?resource=dynamic_active_clusters")) as {
          configs: { cluster: { name: string; connect_timeout: string } }[];
        };
        return dump.configs.some(
          ({ cluster }) => cluster.name === "redis" && cluster.connect_timeout === `${timeout / 1000}s`,
        );
      });
      const warming = JSON.parse(await adminText("/config_dump?resource=dynamic_warming_clusters")) as {
        configs?: unknown[];
      };
      assert.is(warming.configs?.length ?? 0, 0);
      await echo(outbound, "still here");
    }
    assert.is(await givenUp(), 0, "Envoy waited for nothing");
  });

  test("everything that was sent was acknowledged, and nothing is sent without a change", async () => {
    await eventually("all responses are acknowledged", () => counts.sent > 0 && counts.sent === counts.acknowledged);
    assert.equal(counts.rejected, []);
  });

  test("a deleted dataplane's listeners and clusters are removed, and come back with it", async () => {
    await store.delete({ type: "Dataplane", mesh: "default", name: "both-1" });
    await eventually("no listener is left", async () => (await adminText("/listeners")).trim() === "");
    await eventually("no cluster is left", async () => !(await adminText("/clusters")).includes("redis::"));
    const own = [{ interface: `:${outbound}`, service: "redis" }];
    await store.create({ type: "Dataplane", mesh: "default", name: "both-1", spec: spec(own) });
    await eventually("bytes come back again", () => echo(outbound, "hello again"));
  });

  test("an outbound to a service without dataplanes accepts and closes, and delays nothing", async () => {
    const lonely = await freePort();
    const stored = await store.get({ type: "Dataplane", mesh: "default", name: "both-1" });
    const both = [
      { interface: `:${outbound}`, service: "redis" },
      { interface: `:${lonely}`, service: "nobody" },
    ];
    await store.update(
      { type: "Dataplane", mesh: "default", name: "both-1", spec: spec(both) },
      stored?.version ?? versionOf(0),
    );
    await eventually("the new listener accepts and closes", async () => {
      const outcome = await echo(lonely, "x").catch((error: Error) => error.message);
      return outcome === 'received ""' || outcome.includes("ECONNRESET");
    });
    await echo(outbound, "unaffected");
  });

  test("raw clusters are active with the endpoints that their names have, or with none, each time they change", async () => {
    const key = { type: "ProxyTemplate", mesh: "default", name: "raw" };
    const clusters = (timeout: string) =>
      [["raw"], ["renamed", "redis"], ["unknown", "nobodys"]].map(([name, serviceName]) => ({
        "@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster",
        name,
        type: "EDS",
        connectTimeout: timeout,
        edsClusterConfig: { serviceName, edsConfig: { ads: {}, resourceApiVersion: "V3" } },
      }));
    const template = (timeout: string) => ({
      imports: ["default-proxy"],
      resources: clusters(timeout).map((cluster) => ({ name: "r", version: "v", resource: JSON.stringify(cluster) })),
    });
    await store.create({ ...key, spec: template("1s") });
    for (const timeout of ["1s", "2s", "3s"]) {
      const stored = await store.get(key);
      if (timeout !== "1s") await store.update({ ...key, spec: template(timeout) }, stored?.version ?? versionOf(0));
      await eventually(`all are active with a connect timeout of ${timeout}`, async () => {
        const dump = JSON.parse(await adminText("/config_dump?resource=dynamic_active_clusters")) as {
          configs: { cluster: { name: string; connect_timeout: string } }[];
        };
        const raw = dump.configs.filter(({ cluster }) => ["raw", "renamed", "unknown"].includes(cluster.name));
        return raw.length === 3 && raw.every(({ cluster }) => cluster.connect_timeout === timeout);
      });
      const hosts = (await adminText("/clusters")).match(/^renamed::127[^:]*:\d+::cx_total/gm);
      assert.is(hosts?.length, 1);
    }
    await echo(outbound, "unaffected");
    assert.is(await givenUp(), 0, "Envoy waited for nothing");
    assert.equal(counts.rejected, []);
    await store.delete(key);
    await eventually("they are gone", async () => !(await adminText("/clusters")).includes("renamed::"));
  });

  test.run();
}
