import {
  constants,
  createSecureServer,
  createServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import type { Logger } from "../lib/logger.js";
import { openAcceptor } from "./acceptor.js";
import { createFrameReader, type Frame } from "./grpc-frame.js";
import { inTurn } from "./turns.js";

/** The status codes of gRPC that we have a use for. */
export const status = {
  ok: 0,
  invalidArgument: 3,
  notFound: 5,
  resourceExhausted: 8,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  unauthenticated: 16,
} as const;
export type Status = (typeof status)[keyof typeof status];

/** One call with messages in both directions. */
export interface GrpcCall {
  /** Address and port of the client, as far as they are still known. */
  peer(): string;
  /** Every value of a header of the request, as it came. */
  header(name: string): readonly string[];
  /** A call that has ended takes nothing more, and says nothing about it. */
  write(message: Frame): void;
  /** Ends the call once all that was written is through. `details` are for the client to read. */
  end(code: Status, details?: string): void;
}

export interface GrpcListener {
  /** A message came. None does after `closed`. */
  message(bytes: Buffer): void;
  /** The last word about a call, once, whoever ended it; our own `end` has it said before it returns. */
  closed(): void;
}

/** Serves a call. One whose client says that no message follows is ended as `ok`. */
export type GrpcMethod = (call: GrpcCall) => GrpcListener;

export interface GrpcServerOptions {
  /** 0: any free port. */
  readonly port: number;
  /** Default: all interfaces, IPv4 and IPv6. */
  readonly host?: string | undefined;
  /** PEM. Without it the server speaks HTTP/2 in plaintext, without an upgrade. */
  readonly tls?: { readonly cert: string; readonly key: string };
  /** By path, `/package.Service/Method`. */
  readonly methods: Readonly<Record<string, GrpcMethod>>;
  /** How often a client has to show that it still listens, in milliseconds; once a minute when left out. */
  readonly pingEveryMs?: number;
  readonly logger: Logger;
}

export interface GrpcServer {
  readonly port: number;
  /** How many are open. */
  calls(): number;
  /** GOAWAY, the end of every call as `unavailable`, and after a second the end of what is left. */
  close(): Promise<void>;
}

const longestMessage = 4 * 1024 * 1024;
/** Messages of one call that may wait for their turn before no more are read. */
const mostWaiting = 16;
/** A client has one stream, or two while it reconnects; a proxy in between may carry those of many. */
const mostStreams = 1024;
const handshakeMs = 10_000;

/**
 * A half-open connection would keep its Dataplane "Online" for hours. The kernel finds out that a machine is gone, and
 * costs us nothing; that a program hangs, or a proxy in between has lost its client, takes an answer from the client.
 */
const probeAfterMs = 15_000;
const usualPingEveryMs = 60_000;
const pongWithinMs = 10_000;

const closeMs = 1_000;
const shuttingDown = "the control plane is shutting down";

const contentType = "application/grpc";
const responseHeaders = { ":status": 200, "content-type": contentType, "grpc-accept-encoding": "identity" };

const trailersOf = (code: Status, details: string) => ({
  "grpc-status": code,
  ...(details === "" ? {} : { "grpc-message": encodeURI(details.toWellFormed()) }),
});

/** Milliseconds until the first whole second from then on: who is due about the same time takes one wake-up together. */
function untilSecond(ms: number): number {
  const now = performance.now();
  return Math.ceil((now + ms) / 1000) * 1000 - now;
}

/**
 * Asks for a sign of life now and then. The first time is random: those who connect together must not all answer together.
 */
function keepAlive(session: ServerHttp2Session, pingEveryMs: number): void {
  let timer = setTimeout(ping, untilSecond(Math.random() * pingEveryMs));

  function ping(): void {
    timer = setTimeout(() => session.destroy(), pongWithinMs);
    const asked = session.ping(() => {
      clearTimeout(timer);
      if (!session.destroyed) timer = setTimeout(ping, untilSecond(pingEveryMs));
    });
    // One is on its way already, or the session is about to end.
    if (!asked) clearTimeout(timer);
  }

  session.once("close", () => clearTimeout(timer));
}

interface Serving {
  readonly stream: ServerHttp2Stream;
  readonly rawHeaders: readonly string[];
  readonly method: GrpcMethod;
  readonly logger: Logger;
}

/** @returns how to end the call from our side */
function serve({ stream, rawHeaders, method, logger }: Serving, gone: () => void): GrpcCall["end"] {
  let listener: GrpcListener | undefined;
  let ended = false;
  let begun = false;
  let waiting = 0;

  function leave(): void {
    if (ended) return;
    ended = true;
    gone();
    listener?.closed();
  }

  function end(code: Status, details = ""): void {
    if (ended) return;
    leave();
    if (stream.destroyed || stream.closed) return;
    const trailers = trailersOf(code, details);
    if (begun) {
      stream.once("wantTrailers", () => {
        stream.sendTrailers(trailers);
        setImmediate(stop);
      });
      stream.end();
    } else {
      stream.respond({ ...responseHeaders, ...trailers }, { endStream: true });
      setImmediate(stop);
    }
    stream.resume();
  }

  /** What the client still says is nobody's any more. Too early, this would overtake our last words. */
  function stop(): void {
    if (!stream.closed) stream.close(constants.NGHTTP2_NO_ERROR);
  }

  function handle(bytes: Buffer): void {
    waiting -= 1;
    if (ended) return;
    if (waiting === 0 && stream.isPaused()) stream.resume();
    try {
      listener?.message(bytes);
    } catch (error) {
      logger.error("a message could not be handled", { peer: call.peer(), error });
      end(status.internal, "the message could not be handled");
    }
  }

  const call: GrpcCall = {
    peer() {
      const { remoteAddress = "", remotePort = "" } = stream.session?.socket ?? {};
      return `${remoteAddress}:${remotePort}`;
    },
    header: (name) => rawHeaders.filter((_, index) => index % 2 === 1 && rawHeaders[index - 1] === name),
    write(message) {
      if (ended || stream.destroyed) return;
      if (!begun) stream.respond(responseHeaders, { waitForTrailers: true });
      begun = true;
      // What waits in the stream is bounded by whoever writes, who waits for acknowledgements.
      stream.write(message);
    },
    end,
  };
  listener = method(call);

  const read = createFrameReader({
    longest: longestMessage,
    message(bytes) {
      waiting += 1;
      if (waiting >= mostWaiting) stream.pause();
      inTurn(() => handle(bytes));
    },
    failed(error) {
      if (error === "too-long") end(status.resourceExhausted, `a message is longer than ${longestMessage} bytes`);
      else end(status.unimplemented, "messages can't be compressed");
    },
  });
  stream.on("data", read);
  // In their turn, too, so that what was said before is heard before.
  stream.on("end", () => inTurn(() => end(status.ok)));
  // A stream that broke has ended, and nothing else is concerned.
  stream.on("error", leave);
  stream.on("aborted", leave);
  stream.on("close", leave);
  return end;
}

/** What is wrong with a request that is none of gRPC's, as far as it takes another answer than a status. */
function misdirected(headers: IncomingHttpHeaders): number | undefined {
  if (headers[":method"] !== "POST") return constants.HTTP_STATUS_METHOD_NOT_ALLOWED;
  const type = headers["content-type"] ?? "";
  const isGrpc = type === contentType || /^application\/grpc[+;]/.test(type);
  return isGrpc ? undefined : constants.HTTP_STATUS_UNSUPPORTED_MEDIA_TYPE;
}

/**
 * Serves gRPC over HTTP/2; resolves once its port is open. Connections are let in, and messages handled, in their turns.
 * @throws when the port can't be bound, or the certificate can't be used
 */
export async function startGrpcServer(options: GrpcServerOptions): Promise<GrpcServer> {
  const { port, host, tls, methods, pingEveryMs = usualPingEveryMs, logger } = options;
  const settings = { settings: { maxConcurrentStreams: mostStreams } };
  const server: Http2Server =
    tls === undefined
      ? createServer(settings)
      : createSecureServer({ ...settings, ...tls, handshakeTimeout: handshakeMs });
  const sessions = new Set<ServerHttp2Session>();
  const calls = new Set<GrpcCall["end"]>();
  let closing = false;

  server.on("session", (session) => {
    sessions.add(session);
    session.once("close", () => sessions.delete(session));
    session.on("error", () => session.destroy());
    if (closing) session.close();
    else keepAlive(session, pingEveryMs);
  });
  server.on("stream", (stream: ServerHttp2Stream, headers, _flags, rawHeaders: readonly string[]) => {
    const code = misdirected(headers);
    if (code !== undefined) {
      stream.on("error", () => {});
      stream.respond({ ":status": code }, { endStream: true });
      stream.resume();
      return;
    }
    const method = methods[headers[":path"] ?? ""];
    if (method === undefined) {
      stream.on("error", () => {});
      const trailers = trailersOf(status.unimplemented, `there is no method ${headers[":path"]}`);
      stream.respond({ ...responseHeaders, ...trailers }, { endStream: true });
      stream.resume();
      return;
    }
    const end = serve({ stream, rawHeaders, method, logger }, () => calls.delete(end));
    if (closing) end(status.unavailable, shuttingDown);
    else calls.add(end);
  });

  const acceptor = await openAcceptor({
    port,
    host,
    logger,
    admit(socket) {
      // Ten probes a second apart follow: libuv knows no others.
      socket.setKeepAlive(true, probeAfterMs);
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
      for (const end of [...calls]) end(status.unavailable, shuttingDown);
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, closeMs);
      });
      await Promise.race([gone, late]);
      clearTimeout(timer);
      // HTTP/2 knows nothing of those that are in the middle of their handshake.
      acceptor.destroy();
    },
  };
}
