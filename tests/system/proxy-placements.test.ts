import { Client, credentials, Metadata, type StatusObject } from "@grpc/grpc-js";
import * as assert from "uvu/assert";
import { envoy as core } from "../../proto-gen/envelope/envoy/config/core/v3/base.js";
import { envoy } from "../../proto-gen/envelope/envoy/service/discovery/v3/discovery.js";
import { google } from "../../proto-gen/envelope/google/protobuf/struct.js";
import { eventually } from "../support/eventually.js";
import { type ControlPlane, put, startControlPlane } from "../support/executable.js";
import { suite } from "../support/suite.js";

const test = suite("streams of one proxy that name different places for its files and its control plane");

const method = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources";
const { DeltaDiscoveryRequest, DeltaDiscoveryResponse } = envoy.service.discovery.v3;

let cp: ControlPlane;
const clients = new Set<Client>();

test.before(async () => {
  cp = await startControlPlane();
  const networking = { inbound: [{ interface: "127.0.0.1:9000:6379", tags: { service: "redis" } }] };
  const redis = { type: "Dataplane", mesh: "default", name: "redis-1", networking };
  assert.is(await put(cp.api, "/meshes/default/dataplanes/redis-1", redis), 201);
});
test.after(async () => {
  for (const client of clients) client.close();
  await cp.stop();
});

const text = (value: string) => new google.protobuf.Value({ string_value: value });

interface Said {
  readonly logDirectories?: readonly string[];
  readonly controlPlaneHost?: string;
}

function requestOf(tokenPath: string, { logDirectories = [], controlPlaneHost }: Said): Buffer {
  const list = new google.protobuf.ListValue({ values: logDirectories.map(text) });
  const fields = new Map([
    ["dataplaneTokenPath", text(tokenPath)],
    ["logDirectories", new google.protobuf.Value({ list_value: list })],
  ]);
  if (controlPlaneHost !== undefined) fields.set("controlPlaneHost", text(controlPlaneHost));
  const node = new core.config.core.v3.Node({
    id: "default.redis-1",
    metadata: new google.protobuf.Struct({ fields }),
  });
  const type_url = "type.googleapis.com/envoy.config.cluster.v3.Cluster";
  return Buffer.from(new DeltaDiscoveryRequest({ node, type_url }).serialize());
}

/** A stream with a first request; what came, and how it ended. */
function open(tokenPath: string, said: Said = {}) {
  const client = new Client(`127.0.0.1:${cp.xdsPort}`, credentials.createInsecure(), {
    "grpc.use_local_subchannel_pool": 1,
  });
  clients.add(client);
  const raw = (bytes: Buffer) => bytes;
  const call = client.makeBidiStreamRequest(method, raw, raw, new Metadata());
  let resources = -1;
  let ended: StatusObject | undefined;
  call.on("data", (bytes: Buffer) => {
    resources = DeltaDiscoveryResponse.deserialize(bytes).resources.length;
  });
  call.on("status", (status) => {
    ended = status;
  });
  call.on("error", () => undefined);
  call.write(requestOf(tokenPath, said));
  return { resources: () => resources, ended: () => ended, cancel: () => call.cancel() };
}

test("four are served, the fifth is rejected with the limit, and served once another one has left", async () => {
  const four = ["a", "b"].map((path) => open(path));
  four.push(open("a", { logDirectories: ["/var/log"] }), open("a", { controlPlaneHost: "10.0.0.1" }));
  await eventually("four answers", () => four.every(({ resources }) => resources() > 0));
  // What is no host counts as none.
  const same = open("a", { controlPlaneHost: "0.0.0.0" });
  await eventually("an answer for a place that is known", () => same.resources() > 0);
  const fifth = open("d");
  const status = await eventually("an end", () => fifth.ended());
  assert.is(status.code, 8);
  assert.match(status.details, /^the open streams of default\.redis-1 already have 4 different combinations/);
  four[1]?.cancel();
  await eventually("an answer in its place", async () => {
    const again = open("d");
    await eventually("it", () => again.resources() > 0 || again.ended() !== undefined);
    return again.resources() > 0;
  });
});

test.run();
