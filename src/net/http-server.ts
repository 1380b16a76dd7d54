import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer, type Server as TlsServer } from "node:https";
import type { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";
import { messageOf } from "../lib/errors.js";
import type { Logger } from "../lib/logger.js";
import type { ClientCheck } from "./client-check.js";
import { errorReply, type HttpHandler, type HttpReply } from "./exchange.js";
import { defaultLimits, type HttpLimits } from "./limits.js";
import { type Binding, listen } from "./listen.js";

export interface HttpServer {
  readonly port: number;
  /** Takes no new connection, closes idle ones at once and the others after their answer, at the latest after a second. */
  close(): Promise<void>;
}

export interface HttpServerOptions extends Binding {
  readonly handler: HttpHandler;
  readonly logger: Logger;
  readonly limits?: Partial<HttpLimits>;
  /** Without it the server speaks plain HTTP. */
  readonly tls?: ServerTls;
}

export interface ServerTls {
  /** PEM texts. */
  readonly cert: string;
  readonly key: string;
  /** Whom the server speaks to; everybody when left out. */
  readonly clients?: ClientCheck;
}

const noBody = Buffer.alloc(0);
const closeGraceMs = 1_000;
/** How much of a refused body is still read, so that the client gets our answer instead of a connection reset. */
const drainBytes = 8 * 1024 * 1024;
const drainMs = 1_000;

type Body =
  | { readonly kind: "whole"; readonly bytes: Buffer }
  | { readonly kind: "too-large" }
  | { readonly kind: "cut" };

/** Starts an HTTP server whose every input is bounded; resolves once its port is open. */
export async function startHttpServer(options: HttpServerOptions): Promise<HttpServer> {
  const limits = { ...defaultLimits, ...options.limits };
  const { handler, logger } = options;
  const settings = {
    maxHeaderSize: limits.headerBytes,
    headersTimeout: limits.headersMs,
    requestTimeout: limits.requestMs,
    keepAliveTimeout: limits.idleMs,
    connectionsCheckingInterval: Math.min(5_000, Math.ceil(limits.headersMs / 2)),
  };
  const state = { closing: false };
  /** Connections that have not brought a request yet: Node doesn't count them as idle. */
  const silent = new Set<Duplex>();

  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = await readBody(request, limits.bodyBytes);
    if (body.kind === "cut") return;
    if (body.kind === "too-large") return refuseBody(request, response, limits.bodyBytes);
    const target = request.url ?? "/";
    const mark = target.indexOf("?");
    const reply = await handler({
      method: request.method ?? "GET",
      path: mark < 0 ? target : target.slice(0, mark),
      query: mark < 0 ? "" : target.slice(mark + 1),
      headers: request.headers,
      body: body.bytes,
      localAddress: request.socket.localAddress,
    });
    send(response, reply, state.closing);
  };

  const answer = (request: IncomingMessage, response: ServerResponse): void => {
    silent.delete(request.socket);
    serve(request, response).catch((error: unknown) => {
      logger.error("request failed", { method: request.method, path: request.url, error });
      if (response.headersSent) response.destroy();
      else send(response, errorReply(500, "Internal Server Error", "Internal Server Error"), state.closing);
    });
  };

  const { tls } = options;
  const server =
    tls === undefined
      ? createServer(settings, answer)
      : createTlsServer({ ...settings, ...tlsOptions(tls), handshakeTimeout: limits.headersMs }, answer);
  if (tls !== undefined) guardHandshakes(server as TlsServer, tls.clients, logger);
  /** All connections, those in their TLS handshake included: HTTP knows nothing of these. */
  const connected = new Set<Duplex>();
  server.on("connection", (socket: Duplex) => {
    connected.add(socket);
    socket.once("close", () => connected.delete(socket));
  });
  server.maxConnections = limits.connections;
  server.setTimeout(limits.idleMs);
  server.on("clientError", refuseConnection);
  server.on(tls === undefined ? "connection" : "secureConnection", (socket: Duplex) => {
    silent.add(socket);
    socket.once("close", () => silent.delete(socket));
  });
  const port = await listen(server, options);
  server.on("error", (error: Error) => logger.error("server failed", { error }));
  return {
    port,
    close: () => {
      state.closing = true;
      for (const socket of silent) socket.destroy();
      return closeServer(server, connected);
    },
  };
}

/** Whom we speak to is decided by `guardHandshakes`, which can say in the log why not. */
function tlsOptions({ cert, key, clients }: ServerTls) {
  return {
    cert,
    key,
    ...(clients === undefined ? {} : { ca: clients.ca, requestCert: true, rejectUnauthorized: false }),
  };
}

/** Refuses clients before a byte of theirs is read as HTTP, and logs every handshake that fails. */
function guardHandshakes(server: TlsServer, clients: ClientCheck | undefined, logger: Logger): void {
  server.on("tlsClientError", (error: NodeJS.ErrnoException & { reason?: string }, { remoteAddress }: TLSSocket) => {
    if (error.code === "ECONNRESET") return;
    logger.info("a TLS handshake failed", { address: remoteAddress, reason: error.reason ?? messageOf(error) });
  });
  if (clients === undefined) return;
  server.prependListener("secureConnection", (socket: TLSSocket) => {
    const reason = clients.refusal(socket, new Date());
    if (reason === undefined) return;
    logger.info("refused a client", { address: socket.remoteAddress, reason });
    socket.destroy();
  });
}

/** Reads without waiting for a body when the header announces none. */
function readBody(request: IncomingMessage, limit: number): Promise<Body> | Body {
  const length = request.headers["content-length"];
  if (length === undefined && request.headers["transfer-encoding"] === undefined)
    return { kind: "whole", bytes: noBody };
  if (length !== undefined && Number(length) > limit) return { kind: "too-large" };
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const done = (body: Body) => {
      request.off("data", collect);
      resolve(body);
    };
    const collect = (chunk: Buffer) => {
      size += chunk.length;
      if (size > limit) done({ kind: "too-large" });
      else chunks.push(chunk);
    };
    request.on("data", collect);
    request.on("end", () =>
      done({ kind: "whole", bytes: chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks) }),
    );
    request.on("close", () => done({ kind: "cut" }));
    request.on("error", () => done({ kind: "cut" }));
  });
}

function send(response: ServerResponse, reply: HttpReply, last: boolean): void {
  const body = reply.body ?? "";
  const headers: Record<string, string | number> = { ...reply.headers, "Content-Length": Buffer.byteLength(body) };
  if (last) headers.Connection = "close";
  response.writeHead(reply.status, headers);
  response.end(body);
}

/**
 * Answers 413 and ends the connection, but only after the client had a chance to stop sending: closing a socket
 * with unread input resets it, and the reset can overtake the answer.
 */
function refuseBody(request: IncomingMessage, response: ServerResponse, limit: number): void {
  const reply = errorReply(413, "Could not process a resource", `The body is larger than ${limit} bytes`);
  const body = String(reply.body);
  response.writeHead(413, { ...reply.headers, "Content-Length": Buffer.byteLength(body), Connection: "close" });
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

const connectionErrors: Readonly<Record<string, HttpReply>> = {
  HPE_HEADER_OVERFLOW: errorReply(431, "Request header too large", "Send fewer or shorter header lines"),
  ERR_HTTP_REQUEST_TIMEOUT: errorReply(408, "Request timeout", "The request did not arrive in time"),
};
const malformed = errorReply(400, "Malformed request", "This is not an HTTP/1.1 request");

function refuseConnection(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (error.code === "ECONNRESET" || !socket.writable) {
    socket.destroy();
    return;
  }
  const reply = connectionErrors[error.code ?? ""] ?? malformed;
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
