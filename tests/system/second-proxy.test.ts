import http2 from "node:http2";
import * as assert from "uvu/assert";
import { envoy as core } from "../../proto-gen/envelope/envoy/config/core/v3/base.js";
import { envoy } from "../../proto-gen/envelope/envoy/service/discovery/v3/discovery.js";
import { eventually } from "../support/eventually.js";
import { greeting, type MeshStage, openMeshStage, reaches } from "../support/mesh-stage.js";
import { freePort } from "../support/ports.js";
import { suite } from "../support/suite.js";

const test = suite("a second proxy under a name in use", { needs: "envoy" });

const service = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources";
const listeners = "type.googleapis.com/envoy.config.listener.v3.Listener";

let stage: MeshStage;
let out: number;

test.before(async () => {
  stage = await openMeshStage({ KUMA_RUNTIME_UNIVERSAL_DATAPLANE_CLEANUP_AGE: "10s" });
  const server = await stage.application("server");
  out = await freePort();
  const inbound = async (name: string, port: number) => ({
    interface: `127.0.0.1:${await freePort()}:${port}`,
    tags: { service: name },
  });
  await stage.apply("server-1", { inbound: [await inbound("server", server.port)] });
  const outbound = [{ interface: `127.0.0.1:${out}`, service: "server" }];
  await stage.apply("client-1", { inbound: [await inbound("client", await freePort())], outbound });
  await stage.apply("going-1", { inbound: [await inbound("going", await freePort())] });
});

test.after(() => stage.close());

/** The STATUS column of a Dataplane; undefined when there is none of that name. */
function status(name: string): string | undefined {
  const { stdout } = stage.kumactl("inspect", "dataplanes");
  return stdout
    .split("\n")
    .find((line) => line.split(/\s+/)[1] === name)
    ?.match(/Online|Offline/)?.[0];
}

/** How many streams of a Dataplane are recorded as open, and how many as ended. */
async function streams(name: string): Promise<{ open: number; ended: number }> {
  const response = await fetch(`${stage.cp.api}/meshes/default/dataplanes+insights/${name}`);
  const { dataplaneInsight } = (await response.json()) as {
    dataplaneInsight?: { subscriptions?: readonly { disconnectTime?: string }[] };
  };
  const all = dataplaneInsight?.subscriptions ?? [];
  const open = all.filter(({ disconnectTime }) => disconnectTime === undefined).length;
  return { open, ended: all.length - open };
}

/** A stream under any name, which a stranger opens and ends. */
async function comeAndGo(name: string): Promise<void> {
  const { DeltaDiscoveryRequest } = envoy.service.discovery.v3;
  const { ended } = await streams(name);
  const session = http2.connect(`http://127.0.0.1:${stage.cp.xdsPort}`);
  session.on("error", () => session.destroy());
  const stream = session.request({ ":method": "POST", ":path": service, "content-type": "application/grpc" });
  stream.on("error", () => stream.destroy());
  const answered = new Promise<void>((resolve, reject) => {
    stream.once("data", () => resolve());
    stream.once("close", () => reject(new Error("closed without an answer")));
  });
  const node = new core.config.core.v3.Node({ id: `default.${name}` });
  const message = Buffer.from(new DeltaDiscoveryRequest({ node, type_url: listeners }).serialize());
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  stream.write(Buffer.concat([head, message]));
  await answered;
  await eventually("its stream is recorded", async () => (await streams(name)).open >= 2);
  session.destroy();
  await eventually("its end is recorded", async () => (await streams(name)).ended > ended);
}

test("gets a warning, and neither it nor a stranger's stream takes the first one offline or lets it be deleted", async () => {
  await stage.sidecar("server-1");
  await stage.sidecar("client-1");
  const going = await stage.sidecar("going-1");
  await reaches(out, "server");
  await eventually("all are online", () =>
    ["server-1", "client-1", "going-1"].every((name) => status(name) === "Online"),
  );

  const second = await stage.sidecar("server-1");
  await eventually("it is warned", () => second.output().includes("is already connected, since "));
  assert.match(second.output(), /^Warning: a proxy of dataplane "server-1" in mesh "default" is already connected/m);
  await eventually("both are recorded", async () => (await streams("server-1")).open === 2);
  assert.match(stage.kumactl("inspect", "dataplanes").stderr, /^2 proxies are connected as "server-1"/m);
  await second.stop();
  await eventually("its end is recorded", async () => (await streams("server-1")).open === 1);
  assert.is(status("server-1"), "Online");

  await comeAndGo("server-1");
  assert.is(status("server-1"), "Online");
  assert.is(await greeting(out), "server");

  await going.stop();
  // Offline for later than the others' ended streams: by the time that it goes, they would have gone.
  await eventually("a dataplane that is offline is deleted", () => status("going-1") === undefined);
  assert.equal([status("server-1"), status("client-1")], ["Online", "Online"]);
  assert.is(await greeting(out), "server");
  assert.not.match(stage.cp.output(), /offline for too long.*server-1/);
});

test("is not reported when only the first one restarts", async () => {
  await stage.apply("again-1", {
    inbound: [{ interface: `127.0.0.1:${await freePort()}:${await freePort()}`, tags: { service: "again" } }],
  });
  const first = await stage.sidecar("again-1");
  await eventually("it is online", () => status("again-1") === "Online");
  await first.stop();
  const restarted = await stage.sidecar("again-1");
  await eventually("its new stream is recorded", async () => {
    const { open, ended } = await streams("again-1");
    return open === 1 && ended === 1;
  });
  assert.not.match(restarted.output(), /already connected/);
});

test.run();
