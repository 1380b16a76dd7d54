import http2 from "node:http2";
import net from "node:net";
import * as assert from "uvu/assert";
import { envoy } from "../../proto-gen/envelope/envoy/service/discovery/v3/discovery.js";
import { deltaMethod, field, firstRequest, framed } from "../support/discovery-request.js";
import { eventually } from "../support/eventually.js";
import { type ControlPlane, put, startControlPlane } from "../support/executable.js";
import { suite } from "../support/suite.js";

const test = suite("xDS clients that misbehave");

const clusterType = "type.googleapis.com/envoy.config.cluster.v3.Cluster";
const { DeltaDiscoveryRequest, DeltaDiscoveryResponse } = envoy.service.discovery.v3;

let cp: ControlPlane;

test.before(async () => {
  cp = await startControlPlane();
  const spec = { networking: { inbound: [{ interface: "127.0.0.1:9000:6379", tags: { service: "redis" } }] } };
  assert.is(
    await put(cp.api, "/meshes/default/dataplanes/redis-1", {
      type: "Dataplane",
      mesh: "default",
      name: "redis-1",
      ...spec,
    }),
    201,
  );
});

test.after(async () => {
  await cp.stop();
});

interface Stream {
  readonly stream: http2.ClientHttp2Stream;
  readonly session: http2.ClientHttp2Session;
  /** Messages that came so far, without their gRPC frames. */
  readonly messages: Buffer[];
  /** grpc-status and grpc-message, once the server ended the stream. */
  readonly status: Promise<string>;
}

function open(path = deltaMethod, port = cp.xdsPort): Stream {
  const scheme = port === cp.xdsPort ? "http" : "https";
  const session = http2.connect(`${scheme}://127.0.0.1:${port}`, { rejectUnauthorized: false });
  const stream = session.request({
    ":method": "POST",
    ":path": path,
    "content-type": "application/grpc",
    te: "trailers",
  });
  const messages: Buffer[] = [];
  let rest = Buffer.alloc(0);
  stream.on("data", (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk]);
    while (rest.length >= 5 && rest.length >= 5 + rest.readUInt32BE(1)) {
      messages.push(rest.subarray(5, 5 + rest.readUInt32BE(1)));
      rest = rest.subarray(5 + rest.readUInt32BE(1));
    }
  });
  const status = new Promise<string>((resolve) => {
    const tell = (headers: http2.IncomingHttpHeaders) => {
      if (headers["grpc-status"] === undefined) return;
      resolve(`${headers["grpc-status"]} ${decodeURIComponent(String(headers["grpc-message"] ?? ""))}`);
    };
    stream.on("trailers", tell);
    stream.on("response", tell);
    stream.on("error", (error) => resolve(error.message));
    stream.on("close", () => resolve("closed"));
  });
  session.on("error", () => session.destroy());
  return { stream, session, messages, status };
}

const request = (init: ConstructorParameters<typeof DeltaDiscoveryRequest>[0]) =>
  framed(new DeltaDiscoveryRequest(init).serialize());

/** A well-behaved client is still served. */
async function assertServes(): Promise<void> {
  const { stream, session, messages } = open();
  stream.write(firstRequest("default.redis-1", clusterType));
  await eventually("a good client gets its clusters", () => messages.length > 0);
  session.destroy();
  assert.is(cp.child.exitCode, null);
}

test("a message that is not protobuf ends its stream with INVALID_ARGUMENT", async () => {
  const { stream, session, status } = open();
  stream.write(framed(Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff])));
  assert.match(await status, "3 the message is not a DeltaDiscoveryRequest");
  session.destroy();
  await assertServes();
});

test("a frame that announces gigabytes ends its stream", async () => {
  const { stream, session, status } = open();
  stream.write(Buffer.from([0, 0xff, 0xff, 0xff, 0xff, 1, 2, 3]));
  assert.match(await status, /^(8|13|closed|.*CANCEL|.*stream)/i);
  session.destroy();
  await assertServes();
});

test("a frame with an unknown compression flag ends its stream", async () => {
  const { stream, session, status } = open();
  stream.write(framed(Buffer.from([1]), 7));
  assert.is.not(await status, "0 ");
  session.destroy();
  await assertServes();
});

test("a node ID without a dot is rejected with the expected format", async () => {
  for (const id of ["nodot", "", ".x", "x."]) {
    const { stream, session, status } = open();
    stream.write(firstRequest(id, clusterType));
    assert.match(await status, "3 the first request must carry a node id of the form <mesh>.<name>");
    session.destroy();
  }
  await assertServes();
});

test("a request without a type ends its stream", async () => {
  const { stream, session, status } = open();
  stream.write(firstRequest("default.redis-1", ""));
  assert.match(await status, "3 type_url is required");
  session.destroy();
});

test("an unknown type gets no answer, and the stream goes on", async () => {
  const { stream, session, messages } = open();
  stream.write(firstRequest("default.redis-1", "type.googleapis.com/envoy.config.Nothing"));
  stream.write(request({ type_url: clusterType }));
  await eventually("the known type is answered", () => messages.length > 0);
  assert.is(messages.length, 1);
  session.destroy();
});

test("an unknown Dataplane gets no answer until it is applied", async () => {
  const { stream, session, messages } = open();
  stream.write(firstRequest("default.late-1", clusterType));
  await assertServes();
  assert.is(messages.length, 0);
  const spec = { networking: { inbound: [{ interface: "127.0.0.1:9001:6380", tags: { service: "late" } }] } };
  await put(cp.api, "/meshes/default/dataplanes/late-1", {
    type: "Dataplane",
    mesh: "default",
    name: "late-1",
    ...spec,
  });
  await eventually("it is answered", () => messages.length > 0);
  session.destroy();
});

test("a client that never reads does not affect others", async () => {
  const silent = open();
  silent.stream.pause();
  silent.stream.write(firstRequest("default.redis-1", clusterType));
  for (let index = 0; index < 20; index++) {
    const spec = {
      networking: { inbound: [{ interface: `127.0.0.1:9000:${7000 + index}`, tags: { service: "redis" } }] },
    };
    await put(cp.api, "/meshes/default/dataplanes/redis-1", {
      type: "Dataplane",
      mesh: "default",
      name: "redis-1",
      ...spec,
    });
  }
  await assertServes();
  silent.session.destroy();
});

test("bytes that are not HTTP/2 only close their own connection", async () => {
  const socket = net.connect(cp.xdsPort, "127.0.0.1", () =>
    socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n".repeat(10)),
  );
  socket.on("error", () => socket.destroy());
  socket.resume();
  await eventually("the connection is closed", () => socket.destroyed || socket.readableEnded);
  socket.destroy();
  await assertServes();
});

/** The value of a metric of kuma-cp. */
async function metric(name: string): Promise<number> {
  const text = await (await fetch(`${cp.health}/metrics`)).text();
  const line = text.split("\n").find((one) => one.startsWith(`${name} `));
  assert.ok(line !== undefined, `there is no metric ${name}`);
  return Number(line.slice(name.length + 1));
}

test("a method named like a member of Object.prototype is unknown, on both ports", async () => {
  for (const port of [cp.xdsPort, cp.sdsPort]) {
    for (const path of ["/constructor", "/__proto__", "/toString"]) {
      const { session, status } = open(path, port);
      assert.match(await status, /^12 there is no method/);
      session.destroy();
    }
  }
  assert.is(await metric('caught_exceptions{server="xds"}'), 0);
  assert.is(await metric('caught_exceptions{server="sds"}'), 0);
  await assertServes();
});

test("a stream that requests hundreds of thousands of names is rejected with the limit, and delays no other", async () => {
  const names = Array.from({ length: 300_000 }, (_, index) => field(3, index.toString(36)));
  const asked = open();
  asked.stream.write(firstRequest("default.redis-1", clusterType));
  await eventually("it is served", () => asked.messages.length > 0);
  asked.stream.write(framed(Buffer.concat([field(2, clusterType), ...names])));
  assert.match(await asked.status, /^8 .*\(limit names_in_request\)/);
  asked.session.destroy();
  const fewer = open();
  fewer.stream.write(firstRequest("default.redis-1", clusterType, ...names.slice(0, 10_000)));
  assert.match(await fewer.status, /^8 .*\(limit names\)/);
  fewer.session.destroy();
  assert.ok((await metric('refusals{server="xds",limit="names"}')) >= 1);
  await assertServes();
});

test("a first request that announces more than any proxy sends is rejected before it is read", async () => {
  const { stream, session, status } = open();
  stream.write(Buffer.from([0, 0, 4, 0, 1]));
  assert.match(await status, /^8 the first message is longer than 262144 bytes \(limit first_message\)/);
  session.destroy();
  await assertServes();
});

test("a NACK of megabytes is truncated before it is logged or stored", async () => {
  const { stream, session, messages } = open();
  stream.write(firstRequest("default.redis-1", clusterType));
  await eventually("it is served", () => messages.length > 0);
  const nonce = DeltaDiscoveryResponse.deserialize(messages[0] ?? Buffer.alloc(0)).nonce;
  const words = "no ".repeat(1_000_000);
  const before = cp.output().length;
  stream.write(framed(Buffer.concat([field(2, clusterType), field(6, nonce), field(7, field(2, words))])));
  await eventually("it is logged", () => cp.output().slice(before).includes("no no no"));
  assert.ok(cp.output().length - before < 20_000, "the log has all of it");
  session.destroy();
  await assertServes();
});

test.run();
