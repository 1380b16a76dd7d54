import net from "node:net";
import tls from "node:tls";
import { DatabaseFailure } from "./failure.js";
import { unixSocketPath } from "./unix-socket.js";

/** TLS options. Certificates and keys are PEM. */
export interface PostgresTls {
  /**
   * `verifyNone` only encrypts; `verifyCa` verifies the server's certificate chain, `verifyFull` also its host name.
   */
  readonly mode: "disable" | "verifyNone" | "verifyCa" | "verifyFull";
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

export interface SocketOptions {
  /** A host name or IP address, or the absolute path of the directory with the server's Unix socket. */
  readonly host: string;
  readonly port: number;
  readonly connectTimeoutMs: number;
  readonly tls: PostgresTls;
}

/** SSLRequest (PostgreSQL protocol, 53.2.10): the server responds with one byte. */
const sslRequest = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]);

const keepAliveMs = 10_000;

function failed(code: string): Error {
  return Object.assign(new Error(code), { code });
}

/** Resolves with the event; rejects if the socket fails or is closed first. */
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
    // Called only after the chain was verified.
    ...(mode === "verifyFull" ? { host } : { checkServerIdentity: () => undefined }),
  };
}

async function secure(socket: net.Socket, { host, tls: options }: SocketOptions): Promise<net.Socket> {
  socket.write(sslRequest);
  const answer = (await first(socket, "data")) as Buffer;
  // More than one byte would be injected by a man in the middle, to be taken for encrypted data.
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
 * Opens a connection to the server, with TLS as configured. The `postgres` package itself reports a server without TLS
 * only as a broken handshake.
 */
export async function openSocket(options: SocketOptions, signal: AbortSignal): Promise<net.Socket> {
  const { host, port, connectTimeoutMs } = options;
  const path = unixSocketPath(options);
  const socket =
    path === undefined
      ? net.connect({ host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: keepAliveMs })
      : net.connect({ path });
  // Each wait has its own error listener; this one covers the time between them.
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
