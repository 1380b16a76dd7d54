import net from "node:net";
import tls from "node:tls";
import { bytesOf, type Move, type RawAttack } from "./attack.js";
import type { Battle } from "./battle.js";
import { frame, frameTypes } from "./frames.js";

const segment = 64 * 1024;
const connectMs = 5_000;
const acknowledgement = frame(frameTypes.settings, { flags: 1 });

interface Line {
  /** What the attack writes to; over TLS it is not the connection itself. */
  readonly socket: net.Socket;
  readonly connection: net.Socket;
  readonly gone: Promise<void>;
}

/** Connects; undefined when the server refuses or does not answer in time. */
function connect(attack: RawAttack, battle: Battle): Promise<Line | undefined> {
  const { port, localAddress } = battle.address(attack.port);
  const socket = net.connect({ port, host: "127.0.0.1", localAddress, noDelay: true });
  const open =
    attack.port === "sds" ? tls.connect({ socket, rejectUnauthorized: false, ALPNProtocols: ["h2"] }) : socket;
  const gone = new Promise<void>((resolve) => {
    open.once("close", resolve);
    // A server that closes on such a client is right; "close" follows.
    open.on("error", () => resolve());
  });
  socket.on("error", () => open.destroy());
  return new Promise((resolve) => {
    const timer = setTimeout(() => open.destroy(), connectMs);
    battle.over.then(() => open.destroy());
    open.once(attack.port === "sds" ? "secureConnect" : "connect", () => {
      clearTimeout(timer);
      resolve({ socket: open, connection: socket, gone });
    });
    gone.then(() => {
      clearTimeout(timer);
      resolve(undefined);
    });
  });
}

async function write(socket: net.Socket, bytes: Buffer, gone: Promise<void>, battle: Battle): Promise<void> {
  await battle.pace.pass(bytes.length);
  if (socket.destroyed || !socket.writable) return;
  battle.figures.bytes += bytes.length;
  if (socket.write(bytes)) return;
  await Promise.race([new Promise((resolve) => socket.once("drain", resolve)), gone, battle.over]);
}

async function play(move: Move, { socket, connection, gone }: Line, battle: Battle): Promise<void> {
  if ("waitMs" in move) await Promise.race([battle.wait(move.waitMs), gone]);
  else if ("end" in move) {
    if (move.end === "fin") socket.end();
    else if (!connection.destroyed) connection.resetAndDestroy();
  } else {
    const bytes = battle.materialised(move.send, bytesOf);
    const piece = "piece" in move ? move.piece : segment;
    for (let at = 0; at < bytes.length && !socket.destroyed && !battle.ended(); at += piece) {
      await write(socket, bytes.subarray(at, at + piece), gone, battle);
      if ("piece" in move) await Promise.race([battle.wait(move.everyMs), gone]);
    }
  }
}

async function connection(attack: RawAttack, battle: Battle): Promise<void> {
  const line = await connect(attack, battle);
  if (line === undefined) {
    battle.figures.refused += 1;
    return;
  }
  battle.figures.connections += 1;
  const { socket, gone } = line;
  if (attack.acknowledges) socket.once("data", () => socket.writable && socket.write(acknowledgement));
  if (attack.reads) socket.on("data", (chunk: Buffer) => (battle.figures.received += chunk.length));
  else socket.pause();
  try {
    for (const move of attack.moves) {
      if (socket.destroyed || battle.ended()) break;
      await play(move, line, battle);
    }
    if (!attack.again) await Promise.race([gone, battle.over]);
  } finally {
    socket.destroy();
  }
}

/** Plays a raw attack until its connections are done or the battle is over. */
export async function playRaw(attack: RawAttack, battle: Battle): Promise<void> {
  await Promise.all(
    Array.from({ length: attack.connections }, async () => {
      do {
        await connection(attack, battle);
        await battle.wait(1);
      } while (attack.again && !battle.ended());
    }),
  );
}
