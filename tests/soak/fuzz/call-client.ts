import http2 from "node:http2";
import net from "node:net";
import tls from "node:tls";
import { bytesOf, type CallAttack, type Message } from "./attack.js";
import type { Battle } from "./battle.js";
import { grpcFrame } from "./frames.js";
import { bytesField, fieldBytes } from "./protobuf.js";

const answerMs = 1_000;
const piece = 256 * 1024;
/** In DiscoveryResponse and DeltaDiscoveryResponse alike. */
const nonceField = 5;

/** Collects the nonces of the responses on a stream. */
function followNonces(stream: http2.ClientHttp2Stream, battle: Battle) {
  let rest = Buffer.alloc(0);
  let waiting: ((nonce: Buffer) => void) | undefined;
  const nonces: Buffer[] = [];
  stream.on("data", (chunk: Buffer) => {
    battle.figures.received += chunk.length;
    rest = Buffer.concat([rest, chunk]);
    while (rest.length >= 5 && rest.length >= 5 + rest.readUInt32BE(1)) {
      const end = 5 + rest.readUInt32BE(1);
      const nonce = fieldBytes(rest.subarray(5, end), nonceField) ?? Buffer.alloc(0);
      rest = rest.subarray(end);
      battle.figures.responses += 1;
      if (waiting === undefined) nonces.push(nonce);
      else waiting(nonce);
      waiting = undefined;
    }
  });
  return async (): Promise<Buffer> => {
    const known = nonces.shift();
    if (known !== undefined) return known;
    const next = new Promise<Buffer>((resolve) => {
      waiting = resolve;
    });
    return (await Promise.race([next, battle.wait(answerMs)])) ?? Buffer.from("none-came");
  };
}

async function framed({ body, flag = 0, announced, nonce }: Message, next: () => Promise<Buffer>, battle: Battle) {
  const bytes = battle.materialised(body, bytesOf);
  const whole = nonce === undefined ? bytes : Buffer.concat([bytes, bytesField(nonce, await next())]);
  return grpcFrame(whole, flag, announced);
}

function open(attack: CallAttack, battle: Battle): http2.ClientHttp2Session {
  const { port, localAddress } = battle.address(attack.port);
  const to = { port, host: "127.0.0.1", localAddress };
  const secure = attack.port === "sds";
  const session = http2.connect(`${secure ? "https" : "http"}://127.0.0.1:${port}`, {
    createConnection: () =>
      secure ? tls.connect({ ...to, rejectUnauthorized: false, ALPNProtocols: ["h2"] }) : net.connect(to),
    maxSessionMemory: 100,
    // What a server announces to a client is not this client's to obey.
    peerMaxConcurrentStreams: 10_000,
  });
  // A server that closes on such a client is right.
  session.on("error", () => session.destroy());
  session.once("connect", () => (battle.figures.connections += 1));
  return session;
}

async function call(session: http2.ClientHttp2Session, attack: CallAttack, battle: Battle): Promise<void> {
  if (session.destroyed || session.closed) return;
  const stream = session.request(attack.headers, { endStream: false, waitForTrailers: attack.ending === "trailers" });
  const gone = new Promise<void>((resolve) => {
    stream.once("close", resolve);
    stream.on("error", () => resolve());
  });
  stream.on("wantTrailers", () => stream.sendTrailers({ "x-trailer": "after all", "grpc-status": "0" }));
  const next = attack.reads ? followNonces(stream, battle) : async () => Buffer.alloc(0);
  if (!attack.reads) stream.pause();
  for (const message of attack.messages) {
    const bytes = await framed(message, next, battle);
    for (let at = 0; at < bytes.length && !stream.destroyed && !battle.ended(); at += piece) {
      const part = bytes.subarray(at, at + piece);
      await battle.pace.pass(part.length);
      if (stream.destroyed || stream.closed || stream.writableEnded) break;
      battle.figures.bytes += part.length;
      await Promise.race([new Promise((resolve) => stream.write(part, resolve)), gone, battle.over]);
    }
  }
  if (stream.destroyed) return;
  if (attack.ending === "fin" || attack.ending === "trailers") stream.end();
  else if (attack.ending === "reset") stream.close(http2.constants.NGHTTP2_CANCEL);
  else if (attack.ending === "hold") await Promise.race([gone, battle.over]);
  if (attack.ending === "fin" || attack.ending === "trailers") await Promise.race([gone, battle.wait(answerMs)]);
}

/** Plays calls until they are done or the battle is over. */
export async function playCalls(attack: CallAttack, battle: Battle): Promise<void> {
  await Promise.all(
    Array.from({ length: attack.sessions }, async () => {
      do {
        const session = open(attack, battle);
        const closed = new Promise((resolve) => session.once("close", resolve));
        const calls = Array.from({ length: attack.streams }, () => call(session, attack, battle));
        await Promise.race([Promise.all(calls), closed, battle.over]);
        session.destroy();
        await battle.wait(5);
      } while (attack.again && !battle.ended());
    }),
  );
}
