import {
  constants,
  createSecureServer,
  createServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import type { Socket } from "node:net";
import type { Logger } from "../lib/logger.js";
import { type AcceptorLimits, openAcceptor } from "./acceptor.js";
import {
  answerOnly,
  type CallLimits,
  contentType,
  type GrpcCall,
  type GrpcMethod,
  refuseCall,
  serveCall,
  usualCallLimits,
} from "./grpc-call.js";
import { grpcLimits } from "./grpc-limits.js";
import { type CallError, callError, ofLimit } from "./grpc-status.js";
import { createGuard, type Incidents, uncounted } from "./incidents.js";

export type { GrpcCall, GrpcListener, GrpcMethod } from "./grpc-call.js";
export { type CallError, callError, status } from "./grpc-status.js";

export interface GrpcServerOptions {
  /** 0: any free port. */
  readonly port: number;
  /** Default: all interfaces, IPv4 and IPv6. */
  readonly host?: string | undefined;
  /** PEM. Without it the server speaks HTTP/2 in plaintext, without an upgrade. */
  readonly tls?: { readonly cert: string; readonly key: string };
  /** By path, `/package.Service/Method`. */
  readonly methods: Readonly<Record<string, GrpcMethod>>;
  /** A more specific error for an unknown method; undefined if there is none. Called for each such request. */
  readonly unknown?: (path: string) => CallError | undefined;
  /** Interval of keepalive pings, in milliseconds; default: one minute. */
  readonly pingEveryMs?: number;
  readonly limits?: Partial<CallLimits & AcceptorLimits & { readonly calls: number; readonly settings_ack: number }>;
  readonly logger: Logger;
  readonly incidents?: Incidents;
}

export interface GrpcServer {
  readonly port: number;
  /** The number of open calls. */
  calls(): number;
  /** Sends GOAWAY, ends every call as `unavailable`, and closes the remaining connections after a second. */
  close(): Promise<void>;
}

/**
 * Options of Node's HTTP/2. A client has one stream, or two while it reconnects; a proxy in between may multiplex many
 * clients, and opens another connection for more. Node aborted under floods of header references (assertion
 * current_nghttp2_memory == 0); without a header table and with no more streams than this it was never seen to.
 */
const http2Settings = {
  settings: { maxConcurrentStreams: 100, headerTableSize: 0, enablePush: false },
  // Rapid resets (CVE-2023-44487). A well-behaved client resets one stream when it reconnects.
  streamResetBurst: 100,
  streamResetRate: 33,
};
const handshakeMs = 10_000;

/**
 * A half-open connection would keep its Dataplane "Online" for hours. TCP keepalive detects a dead machine at no cost
 * to us. To detect a program that hangs, or a proxy in between that lost its client, the client itself has to answer.
 */
const probeAfterMs = 15_000;
const usualPingEveryMs = 60_000;
const pongWithinMs = 10_000;

const closeMs = 1_000;

/** Rounds a delay up to a whole second, so that pings due at about the same time share one wake-up. */
function untilSecond(ms: number): number {
  const now = performance.now();
  return Math.ceil((now + ms) / 1000) * 1000 - now;
}

/**
 * Sends keepalive pings. The first delay is random, so that clients that connected together do not all answer together.
 */
function keepAlive(session: ServerHttp2Session, pingEveryMs: number): void {
  let timer = setTimeout(ping, untilSecond(Math.random() * pingEveryMs));

  function ping(): void {
    if (session.destroyed) return;
    timer = setTimeout(() => session.destroy(), pongWithinMs);
    const asked = session.ping(() => {
      clearTimeout(timer);
      if (!session.destroyed) timer = setTimeout(ping, untilSecond(pingEveryMs));
    });
    // A ping is outstanding already, or the session is closing.
    if (!asked) clearTimeout(timer);
  }

  session.once("close", () => clearTimeout(timer));
}

/** The HTTP status for a request that is not gRPC; undefined for a gRPC request. */
function misdirected(headers: IncomingHttpHeaders): number | undefined {
  if (headers[":method"] !== "POST") return constants.HTTP_STATUS_METHOD_NOT_ALLOWED;
  const type = headers["content-type"] ?? "";
  const isGrpc = type === contentType || /^application\/grpc[+;]/.test(type);
  return isGrpc ? undefined : constants.HTTP_STATUS_UNSUPPORTED_MEDIA_TYPE;
}

/** Client address and port are the same at both layers, which is how a session finds its socket. */
const peerKey = ({ remoteAddress, remotePort }: Pick<Socket, "remoteAddress" | "remotePort">) =>
  `${remoteAddress} ${remotePort}`;

const destroySession = (session: ServerHttp2Session) => session.destroy();
const destroyStream = (stream: ServerHttp2Stream) => void stream.destroy();

/**
 * Serves gRPC over HTTP/2; resolves once its port is open. Admitting connections and handling messages is queued (see
 * `inTurn`).
 * @throws when the port can't be bound, or the certificate can't be used
 */
export async function startGrpcServer(options: GrpcServerOptions): Promise<GrpcServer> {
  const { port, host, tls, pingEveryMs = usualPingEveryMs, logger, incidents = uncounted } = options;
  const limits = {
    ...usualCallLimits,
    calls: grpcLimits.calls.value as number,
    settings_ack: grpcLimits.settings_ack.value as number,
    ...options.limits,
  };
  const guard = createGuard(logger, incidents);
  // A Map: the path comes from the client and may be a name that every object inherits.
  const methods = new Map(Object.entries(options.methods));
  const server: Http2Server =
    tls === undefined
      ? createServer(http2Settings)
      : createSecureServer({ ...http2Settings, ...tls, handshakeTimeout: handshakeMs });
  const sessions = new Set<ServerHttp2Session>();
  const calls = new Set<GrpcCall["end"]>();
  /** The `proved` callbacks of unproven connections. */
  const strangers = new Map<string, () => void>();
  let closing = false;

  /** The header limits in our SETTINGS bind a client only once it has acknowledged them. */
  function expectAcknowledgement(session: ServerHttp2Session): void {
    const timer = setTimeout(() => {
      if (session.destroyed || !session.pendingSettingsAck) return;
      incidents.refused("settings_ack");
      session.destroy();
    }, limits.settings_ack);
    session.once("localSettings", () => clearTimeout(timer));
    session.once("close", () => clearTimeout(timer));
  }

  function opened(session: ServerHttp2Session): void {
    sessions.add(session);
    session.once("close", () => sessions.delete(session));
    session.on("error", () => session.destroy());
    if (closing) {
      session.close();
      return;
    }
    expectAcknowledgement(session);
    keepAlive(session, pingEveryMs);
  }

  function called(
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    _flags: number,
    rawHeaders: readonly string[],
  ): void {
    // First of all: a stream that was reset emits the error with its first event.
    stream.on("error", () => {});
    const path = headers[":path"] ?? "";
    const method = methods.get(path);
    const code = misdirected(headers);
    if (code !== undefined) answerOnly(stream, { ":status": code });
    else if (method === undefined)
      refuseCall(stream, options.unknown?.(path) ?? callError("grpc.method", { path: path.slice(0, 200) }));
    else if (closing) refuseCall(stream, callError("grpc.closing"));
    else if (calls.size >= limits.calls) {
      incidents.refused("calls");
      refuseCall(stream, ofLimit("calls", callError("grpc.calls", { most: limits.calls })));
    } else begin(stream, method, rawHeaders);
  }

  function begin(stream: ServerHttp2Stream, method: GrpcMethod, rawHeaders: readonly string[]): void {
    const key = stream.session === undefined ? "" : peerKey(stream.session.socket);
    serveCall({
      stream,
      rawHeaders,
      method,
      limits,
      guard,
      logger,
      refused: incidents.refused,
      proved() {
        strangers.get(key)?.();
        strangers.delete(key);
      },
      calls,
    });
  }

  server.on("session", guard(opened, destroySession));
  server.on("stream", guard(called, destroyStream));
  // Emitted for a client that does not speak HTTP/2; the session ends by itself.
  server.on("sessionError", () => {});

  const acceptor = await openAcceptor({
    port,
    host,
    logger,
    incidents,
    ...(options.limits === undefined ? {} : { limits: options.limits }),
    admit(socket, proved) {
      // libuv always sends ten probes, a second apart.
      socket.setKeepAlive(true, probeAfterMs);
      const key = peerKey(socket);
      strangers.set(key, proved);
      socket.once("close", () => strangers.delete(key));
      server.emit("connection", socket);
    },
  });
  return {
    port: acceptor.port,
    calls: () => calls.size,
    async close() {
      closing = true;
      acceptor.close();
      const gone = Promise.all([...sessions].map((session) => new Promise<void>((resolve) => session.close(resolve))));
      const { code, details } = callError("grpc.closing");
      for (const end of [...calls]) end(code, details);
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, closeMs);
      });
      await Promise.race([gone, late]);
      clearTimeout(timer);
      // The HTTP/2 server does not know connections that are still in their TLS handshake.
      acceptor.destroy();
    },
  };
}
