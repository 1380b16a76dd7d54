import * as assert from "uvu/assert";
import { eventually } from "../support/eventually.js";
import {
  type Application,
  greeting,
  type MeshStage,
  openMeshStage,
  reaches,
  type Sidecar,
} from "../support/mesh-stage.js";
import { freePort } from "../support/ports.js";
import { suite } from "../support/suite.js";
import { startTcpProxy, type TcpProxy } from "../support/tcp-proxy.js";

const test = suite("a control plane behind a load balancer that drops its connections silently", { needs: "envoy" });

/** How soon a sidecar has to notice. */
const noticedMs = 60_000;

let stage: MeshStage;
let balancer: TcpProxy;
let app: Application;
let sidecar: Sidecar;
const ports = { web: 0, toWeb: 0, later: 0 };

const apply = (...outbound: readonly number[]) =>
  stage.apply("web-1", {
    inbound: [{ interface: `127.0.0.1:${ports.web}:${app.port}`, tags: { service: "web" } }],
    outbound: outbound.map((port) => ({ interface: `:${port}`, service: "web" })),
  });

test.before(async () => {
  for (const key of Object.keys(ports) as (keyof typeof ports)[]) ports[key] = await freePort();
  const xdsPort = await freePort();
  balancer = await startTcpProxy(xdsPort);
  stage = await openMeshStage({
    KUMA_XDS_SERVER_GRPC_PORT: String(xdsPort),
    KUMA_BOOTSTRAP_SERVER_PARAMS_XDS_PORT: String(balancer.port),
  });
  app = await stage.application("web");
  await apply(ports.toWeb);
  sidecar = await stage.sidecar("web-1");
  await reaches(ports.toWeb, "web");
});

test.after(async () => {
  await stage.close();
  await balancer.close();
});

test("the sidecar reconnects within a minute and gets what changed meanwhile; traffic continues", async () => {
  const begin = performance.now();
  balancer.deafen();
  await apply(ports.toWeb, ports.later);
  const failures: string[] = [];
  let served = 0;
  const arrived = async () => {
    await greeting(ports.toWeb).then(
      () => served++,
      (error: Error) => failures.push(error.message),
    );
    return (await greeting(ports.later)) === "web";
  };
  await eventually("the change arrives", arrived, noticedMs - (performance.now() - begin));
  assert.equal(failures, []);
  assert.ok(served > 10, `${served} connections were served`);
  const timeouts = await sidecar.ask("/stats?filter=ads_cluster.http2.keepalive_timeout");
  assert.match(timeouts, /: [1-9]/, "it noticed by its own pings");
});

test.run();
