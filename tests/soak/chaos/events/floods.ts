import { once } from "node:events";
import http2 from "node:http2";
import net from "node:net";
import tls from "node:tls";
import type { ChaosEvent } from "../event.js";
import type { ChaosStage } from "../stage.js";

/** A port that takes connections from anybody, and what it speaks. */
interface Target {
  readonly port: number;
  readonly speaks: "http" | "grpc" | "grpc over TLS" | "sidecar";
}

const portOf = (url: string) => Number(new URL(url).port);

/** All ports of the control plane and the inbound ports of the sidecars. */
function targets({ mesh: { cp }, members }: ChaosStage): readonly Target[] {
  return [
    { port: cp.sdsPort, speaks: "grpc over TLS" },
    { port: cp.xdsPort, speaks: "grpc" },
    ...[cp.tokens, cp.health, cp.api, cp.bootstrap].map((url) => ({ port: portOf(url), speaks: "http" }) as const),
    ...[...members.values()].map(({ inbound }) => ({ port: inbound, speaks: "sidecar" }) as const),
  ];
}

/** How long one connection of a flood may be open; the other side may be slow to refuse it. */
const connectionMs = 5_000;

/** Opens a connection, lets `attack` use it and waits until it is closed. What the other side does is its own business. */
function attacked(
  target: Target,
  attack: (socket: net.Socket) => void | Promise<void>,
  secure = target.speaks === "grpc over TLS",
): Promise<void> {
  return new Promise((resolve) => {
    const { port } = target;
    const socket = secure
      ? tls.connect({ port, host: "127.0.0.1", rejectUnauthorized: false, ALPNProtocols: ["h2"] })
      : net.connect(port, "127.0.0.1");
    const deadline = setTimeout(() => socket.destroy(), connectionMs);
    socket.on("error", () => socket.destroy());
    socket.on("close", () => {
      clearTimeout(deadline);
      resolve();
    });
    socket.resume();
    socket.once(secure ? "secureConnect" : "connect", () => void attack(socket));
  });
}

/** Does `one` so many times, `atOnce` at a time. */
async function repeat(times: number, atOnce: number, one: () => Promise<void>): Promise<void> {
  let left = times;
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      while (left-- > 0) await one();
    }),
  );
}

const bytes = ({ random }: ChaosStage, length: number) => Buffer.from(Array.from({ length }, () => random.below(256)));

/** An HTTP/2 frame (RFC 9113, section 4.1). */
function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** An HTTP/2 connection whose SETTINGS are right and whose other frames are whatever the seed says. */
function junkFrames(stage: ChaosStage): Buffer {
  const { random } = stage;
  const frames = Array.from({ length: 40 }, () => {
    const payload = bytes(stage, random.below(200));
    return frame(random.below(12), random.below(256), random.below(9), payload);
  });
  return Buffer.concat([Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), frame(4, 0, 0, Buffer.alloc(0)), ...frames]);
}

/** Streams that are opened and reset at once. */
function rapidResets(): Buffer {
  const paths = ["/a", "/__proto__", "/constructor", "/envoy.service.discovery.v3.AggregatedDiscoveryService/x"];
  const parts = [Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), frame(4, 0, 0, Buffer.alloc(0))];
  for (let index = 0; index < 100; index++) {
    const name = paths[index % paths.length] ?? "";
    // Indexed :method POST and :scheme http, then :path as a literal that is not indexed (RFC 7541, section 6).
    const block = Buffer.concat([Buffer.from([0x83, 0x86, 0x04, name.length]), Buffer.from(name)]);
    parts.push(frame(1, 0x4, 2 * index + 1, block), frame(3, 0, 2 * index + 1, Buffer.from([0, 0, 0, 8])));
  }
  return Buffer.concat(parts);
}

const mebibyte = Buffer.alloc(1 << 20, "x");

/** A request whose body is larger than anything asks for; true to HTTP/1.1 until it is refused. */
async function largeBody(socket: net.Socket): Promise<void> {
  const head = `PUT /meshes/default HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n`;
  socket.write(`${head}Content-Length: ${16 * mebibyte.length}\r\n\r\n`);
  for (let index = 0; index < 16 && socket.writable; index++) {
    if (!socket.write(mebibyte)) await Promise.race([once(socket, "drain"), once(socket, "close")]).catch(() => {});
  }
  socket.end();
}

/** A gRPC message whose length says more than it has. */
function largeMessage(target: Target): Promise<void> {
  return new Promise((resolve) => {
    const scheme = target.speaks === "grpc over TLS" ? "https" : "http";
    const session = http2.connect(`${scheme}://127.0.0.1:${target.port}`, { rejectUnauthorized: false });
    const deadline = setTimeout(() => session.destroy(), connectionMs);
    session.on("error", () => session.destroy());
    session.on("close", () => {
      clearTimeout(deadline);
      resolve();
    });
    const call = session.request({
      ":method": "POST",
      ":path": "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources",
      "content-type": "application/grpc",
      te: "trailers",
    });
    call.on("error", () => session.destroy());
    call.on("close", () => session.close());
    call.resume();
    call.write(Buffer.concat([Buffer.from([0, 0xff, 0xff, 0xff, 0xff]), mebibyte]));
    call.write(mebibyte);
  });
}

/** A flood of one kind goes to each port in turn, and costs no connection of the mesh. */
const flood = (what: string, one: (target: Target, stage: ChaosStage) => Promise<void>): ChaosEvent => ({
  name: `flood of ${what} on every port`,
  weight: 1,
  mayFail: [],
  async run(stage) {
    for (const target of targets(stage)) await one(target, stage);
  },
});

export const floodEvents: readonly ChaosEvent[] = [
  flood("raw bytes", (target, stage) => {
    const junk = bytes(stage, 4096);
    const send = (socket: net.Socket) => void socket.end(junk);
    return repeat(100, 20, () => attacked(target, send, false));
  }),
  flood("HTTP/2 junk", (target, stage) => {
    return repeat(50, 10, () => {
      const junk = junkFrames(stage);
      return attacked(target, (socket) => void socket.end(junk));
    });
  }),
  flood("resets", async (target) => {
    await repeat(300, 30, () => attacked(target, (socket) => void socket.resetAndDestroy(), false));
    const streams = rapidResets();
    await repeat(20, 5, () =>
      attacked(target, (socket) => {
        socket.write(streams, () => socket.destroy());
      }),
    );
  }),
  flood("connections", async (target) => {
    const open = new Set<net.Socket>();
    const all = Array.from({ length: 300 }, () => attacked(target, (socket) => void open.add(socket), false));
    const enough = setTimeout(() => {
      for (const socket of open) socket.destroy();
    }, 500);
    await Promise.all(all);
    clearTimeout(enough);
  }),
  flood("large bodies", (target) =>
    repeat(6, 3, () => (target.speaks.startsWith("grpc") ? largeMessage(target) : attacked(target, largeBody, false))),
  ),
];
