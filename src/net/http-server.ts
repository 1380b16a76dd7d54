import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer, type Server as TlsServer } from "node:https";
import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";
import { messageOf } from "../lib/errors.js";
import type { Logger } from "../lib/logger.js";
import type { ClientCheck } from "./client-check.js";
import { type BodyPieces, errorReply, type HttpHandler, type HttpReply, type Layer, layered } from "./exchange.js";
import { createGuard, type Incidents, uncounted } from "./incidents.js";
import type { KeyPair } from "./key-pair-files.js";
import { defaultLimits, type HttpLimitName, type HttpLimits } from "./limits.js";
import { type Binding, listen } from "./listen.js";
import { createLiveBodies } from "./live-body.js";
import { createPipelining } from "./pipelining.js";
import { readBody } from "./request-body.js";
import { ServerRequest } from "./server-request.js";

export interface HttpServer {
  readonly port: number;
  /**
   * Stops listening, ends live bodies, closes idle connections at once and the others after their response, after a
   * second at the latest.
   */
  close(): Promise<void>;
  /** Presents another certificate to new connections; for servers that were started with `tls`. */
  present(pair: KeyPair): void;
}

export interface HttpServerOptions extends Binding {
  readonly handler: HttpHandler;
  /** Middleware around the handler, outermost first. */
  readonly layers: readonly Layer[];
  readonly logger: Logger;
  readonly incidents?: Incidents;
  readonly limits?: Partial<HttpLimits>;
  /** Default: plain HTTP. */
  readonly tls?: ServerTls;
}

export interface ServerTls extends KeyPair {
  /** Which clients the server accepts; default: all. */
  readonly clients?: ClientCheck;
}

const closeGraceMs = 1_000;
/** How much of a rejected body is still read, so that the client gets our response instead of a connection reset. */
const drainBytes = 8 * 1024 * 1024;
const drainMs = 1_000;

/** Starts an HTTP server with limits on every input; resolves once its port is open. */
export async function startHttpServer(options: HttpServerOptions): Promise<HttpServer> {
  const limits = { ...defaultLimits, ...options.limits };
  const { logger, incidents = uncounted } = options;
  const guard = createGuard(logger, incidents);
  const handler = layered(options.layers, options.handler);
  const settings = {
    maxHeaderSize: limits.headerBytes,
    headersTimeout: limits.headersMs,
    requestTimeout: limits.requestMs,
    keepAliveTimeout: limits.idleMs,
    connectionsCheckingInterval: Math.min(5_000, Math.ceil(limits.headersMs / 2)),
  };
  const liveBodies = createLiveBodies({ guard, incidents, idleMs: limits.idleMs });
  const state = { closing: false };
  /** Connections without a request so far: Node doesn't count them as idle. */
  const silent = new Set<Duplex>();

  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = await readBody(request, limits.bodyBytes);
    if (body.kind === "cut") return;
    if (body.kind === "fragmented") {
      incidents.refused("chunks");
      request.socket.destroy();
      return;
    }
    if (body.kind !== "whole") {
      incidents.refused(body.kind === "no-room" ? "unfinished" : "body");
      return refuseBody(request, response, body.kind === "no-room" ? noRoom : tooLarge(limits.bodyBytes));
    }
    const asked = new ServerRequest(request, body.bytes);
    const reply = await handler(asked);
    const { body: answer } = reply;
    if (typeof answer === "function") {
      const refusal = liveBodies.send(response, reply, answer, asked);
      if (refusal !== undefined) sendWhole(response, refusal, String(refusal.body), state.closing);
    } else if (typeof answer === "object" && !Buffer.isBuffer(answer)) {
      await sendPieces(response, reply, answer, state.closing);
    } else sendWhole(response, reply, answer ?? "", state.closing);
    if (state.closing) liveBodies.end();
  };

  const failed = guard((request: IncomingMessage, response: ServerResponse, error: unknown): void => {
    logger.error("request failed", { method: request.method, path: request.url, error });
    if (response.headersSent) response.destroy();
    else sendWhole(response, failure, String(failure.body), state.closing);
  });
  const pipelining = createPipelining({
    most: limits.pipelined,
    guard,
    refused: () => incidents.refused("pipelined"),
  });
  const answer = guard(
    (request: IncomingMessage, response: ServerResponse): void => {
      const { socket } = request;
      silent.delete(socket);
      pipelining(socket, response, () => {
        serve(request, response).catch((error: unknown) => failed(request, response, error));
      });
    },
    (request) => request.socket.destroy(),
  );

  const { tls } = options;
  const server =
    tls === undefined
      ? createServer(settings, answer)
      : createTlsServer({ ...settings, ...tlsOptions(tls), handshakeTimeout: limits.headersMs }, answer);
  if (tls !== undefined) guardHandshakes(server as TlsServer, tls.clients, logger);
  /** All connections, including those in their TLS handshake, which the HTTP server does not know. */
  const connected = new Set<Duplex>();
  server.on(
    "connection",
    guard((socket: Duplex) => {
      connected.add(socket);
      socket.once("close", () => connected.delete(socket));
    }, destroy),
  );
  server.maxConnections = limits.connections;
  server.on("drop", () => incidents.refused("connections"));
  server.setTimeout(limits.idleMs);
  server.on(
    "clientError",
    guard(
      (error: NodeJS.ErrnoException, socket: Duplex) => {
        if (error.code === requestTimeout && hasSentNothing(socket)) {
          socket.destroy();
          return;
        }
        const limit = limitsOfErrors.get(error.code ?? "");
        if (limit !== undefined) incidents.refused(limit);
        refuseConnection(error, socket);
      },
      (_error, socket) => destroy(socket),
    ),
  );
  server.on(
    tls === undefined ? "connection" : "secureConnection",
    guard((socket: Duplex) => {
      silent.add(socket);
      socket.once("close", () => silent.delete(socket));
    }, destroy),
  );
  const port = await listen(server, options);
  server.on("error", (error: Error) => logger.error("server failed", { error }));
  return {
    port,
    close: () => {
      state.closing = true;
      for (const socket of silent) socket.destroy();
      liveBodies.end();
      return closeServer(server, connected);
    },
    present({ cert, key }) {
      if (tls !== undefined) (server as TlsServer).setSecureContext(tlsOptions({ ...tls, cert, key }));
    },
  };
}

const destroy = (socket: Duplex) => void socket.destroy();

const requestTimeout = "ERR_HTTP_REQUEST_TIMEOUT";

/**
 * Clients with a connection pool, such as a Kubernetes API server that calls webhooks, open connections that they may
 * never need. That is no request that exceeded a limit, and they would log a response as unsolicited.
 */
const hasSentNothing = (socket: Duplex): boolean => socket instanceof Socket && socket.bytesRead === 0;

/** The limit that a request exceeded, by the code of Node's error. */
const limitsOfErrors: ReadonlyMap<string, HttpLimitName> = new Map([
  ["HPE_HEADER_OVERFLOW", "header"],
  [requestTimeout, "request_time"],
]);

/** Accepts any client certificate here: `guardHandshakes` rejects clients and can log the reason. */
function tlsOptions({ cert, key, clients }: ServerTls) {
  return {
    cert,
    key,
    ...(clients === undefined ? {} : { ca: clients.ca, requestCert: true, rejectUnauthorized: false }),
  };
}

/** Rejects clients before any of their bytes are parsed as HTTP, and logs failed handshakes. */
function guardHandshakes(server: TlsServer, clients: ClientCheck | undefined, logger: Logger): void {
  server.on("tlsClientError", (error: NodeJS.ErrnoException & { reason?: string }, { remoteAddress }: TLSSocket) => {
    if (error.code === "ECONNRESET") return;
    logger.info("a TLS handshake failed", { address: remoteAddress, reason: error.reason ?? messageOf(error) });
  });
  if (clients === undefined) return;
  server.prependListener("secureConnection", (socket: TLSSocket) => {
    const reason = clients.refusal(socket, new Date());
    if (reason === undefined) return;
    logger.info("rejected a client", { address: socket.remoteAddress, reason });
    socket.destroy();
  });
}

function sendWhole(response: ServerResponse, reply: HttpReply, body: string | Buffer, last: boolean): void {
  const headers: Record<string, string | number> = { ...reply.headers, "Content-Length": Buffer.byteLength(body) };
  if (last) headers.Connection = "close";
  response.writeHead(reply.status, headers);
  response.end(body);
}

/** Sends a long body piece by piece. Each piece is produced only once the client has read the previous one. */
async function sendPieces(response: ServerResponse, reply: HttpReply, body: BodyPieces, last: boolean): Promise<void> {
  response.writeHead(reply.status, { ...reply.headers, ...(last ? { Connection: "close" } : {}) });
  // A response to HEAD has no body, so none is produced.
  if (response.req.method === "HEAD") {
    response.end();
    return;
  }
  for await (const piece of body) {
    if (response.destroyed) return;
    if (!response.write(piece)) await drained(response);
  }
  response.end();
}

/** Resolves once the client has read what was written, or is gone. */
function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      response.off("drain", done);
      response.off("close", done);
      resolve();
    };
    response.on("drain", done);
    response.on("close", done);
    if (response.destroyed) done();
  });
}

const tooLarge = (limit: number): HttpReply => errorReply("http.body-size", { limit });
const failure = errorReply("http.internal", { title: "Internal Server Error" });
const noRoom = errorReply("http.unfinished", {}, { headers: { "Retry-After": "5" } });

/**
 * Responds and closes the connection, but only after the client had a chance to stop sending: closing a socket with
 * unread input resets it, and the reset can overtake the response.
 */
function refuseBody(request: IncomingMessage, response: ServerResponse, reply: HttpReply): void {
  const body = String(reply.body);
  response.writeHead(reply.status, {
    ...reply.headers,
    "Content-Length": Buffer.byteLength(body),
    Connection: "close",
  });
  response.write(body);
  const end = () => {
    clearTimeout(timer);
    response.end();
  };
  const timer = setTimeout(end, drainMs);
  let size = 0;
  request.on("data", (chunk: Buffer) => {
    size += chunk.length;
    if (size > drainBytes) end();
  });
  request.on("end", end);
  request.on("close", end);
  request.resume();
}

const connectionErrors: ReadonlyMap<string, HttpReply> = new Map([
  ["HPE_HEADER_OVERFLOW", errorReply("http.head-size")],
  [requestTimeout, errorReply("http.timeout")],
]);
const malformed = errorReply("http.malformed");

function refuseConnection(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (error.code === "ECONNRESET" || !socket.writable) {
    socket.destroy();
    return;
  }
  const reply = connectionErrors.get(error.code ?? "") ?? malformed;
  const body = String(reply.body);
  socket.end(
    `HTTP/1.1 ${reply.status} ${reply.status === 431 ? "Request Header Fields Too Large" : reply.status === 408 ? "Request Timeout" : "Bad Request"}\r\n` +
      `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
}

function closeServer(server: Server, connected: ReadonlySet<Duplex>): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      for (const socket of connected) socket.destroy();
    }, closeGraceMs);
    server.close(() => {
      clearTimeout(timer);
      resolve();
    });
    server.closeIdleConnections();
  });
}
