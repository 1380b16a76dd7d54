import net from "node:net";
import tls from "node:tls";
import { DatabaseFailure } from "./failure.js";
import { unixSocketPath } from "./unix-socket.js";

/** How connections are secured. Certificates and keys are PEM. */
export interface PostgresTls {
  /** `verifyNone` encrypts only; `verifyCa` checks who signed the server's certificate, `verifyFull` its name as well. */
  readonly mode: "disable" | "verifyNone" | "verifyCa" | "verifyFull";
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

export interface SocketOptions {
  /** A host name or IP address; or the absolute path of a directory with the server's Unix socket. */
  readonly host: string;
  readonly port: number;
  readonly connectTimeoutMs: number;
  readonly tls: PostgresTls;
}

/** PostgreSQL's protocol, 53.2.10: a client that wants TLS asks first, and is answered by one byte. */
const sslRequest = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]);

const keepAliveMs = 10_000;

function failed(code: string): Error {
  return Object.assign(new Error(code), { code });
}

/** Settles with the first of the events, or with the error or the end of the socket. */
function first(socket: net.Socket, event: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const done = (settle: (value: unknown) => void) => (value: unknown) => {
      for (const name of [event, "error", "close"]) socket.removeListener(name, listeners[name] as () => void);
      settle(value);
    };
    const listeners: Record<string, (value: unknown) => void> = {
      [event]: done(resolve),
      error: done(reject),
      close: done(() => reject(failed("CONNECTION_CLOSED"))),
    };
    for (const [name, listener] of Object.entries(listeners)) socket.on(name, listener);
  });
}

function trust({ mode, ca, cert, key }: PostgresTls, host: string): tls.ConnectionOptions {
  return {
    ...(net.isIP(host) === 0 ? { servername: host } : {}),
    ...(cert === undefined || key === undefined ? {} : { cert, key }),
    ...(ca === undefined ? {} : { ca }),
    rejectUnauthorized: mode !== "verifyNone",
    // By the time it is asked the chain has been checked.
    ...(mode === "verifyFull" ? { host } : { checkServerIdentity: () => undefined }),
  };
}

async function secure(socket: net.Socket, { host, tls: options }: SocketOptions): Promise<net.Socket> {
  socket.write(sslRequest);
  const answer = (await first(socket, "data")) as Buffer;
  // More than the byte would be somebody's who talks in between, to be taken for encrypted.
  if (answer.length !== 1 || answer[0] !== "S".charCodeAt(0)) {
    const sentence = "the server takes no TLS connections; KUMA_STORE_POSTGRES_TLS_MODE asks for one";
    throw new DatabaseFailure(
      "misconfigured",
      `PostgreSQL at ${socket.remoteAddress}:${socket.remotePort}: ${sentence}`,
    );
  }
  const secured = tls.connect({ socket, ...trust(options, host) });
  await first(secured, "secureConnect");
  return secured;
}

/**
 * A connection to the server, secured as the options say. Made here and not by the `postgres` package, which knows a
 * server without TLS only as a broken handshake.
 */
export async function openSocket(options: SocketOptions, signal: AbortSignal): Promise<net.Socket> {
  const { host, port, connectTimeoutMs } = options;
  const path = unixSocketPath(options);
  const socket =
    path === undefined
      ? net.connect({ host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: keepAliveMs })
      : net.connect({ path });
  // Whoever waits hears of an error by its own listener; in between there may be none.
  socket.on("error", () => {});
  const timer = setTimeout(() => socket.destroy(failed("CONNECT_TIMEOUT")), connectTimeoutMs);
  const abort = () => socket.destroy(failed("CONNECTION_ENDED"));
  signal.addEventListener("abort", abort);
  try {
    await first(socket, "connect");
    return path !== undefined || options.tls.mode === "disable" ? socket : await secure(socket, options);
  } catch (error) {
    socket.destroy();
    throw error;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", abort);
  }
}
