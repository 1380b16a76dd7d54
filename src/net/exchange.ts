import type { X509Certificate } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import { type Given, type ParametersOf, type ReplyId, replies } from "../lib/errors/catalogue.js";
import { filled } from "../lib/errors/entry.js";
import type { Cause } from "../lib/errors.js";

/** A request with its complete body, within the server's limit. */
export interface HttpRequest {
  readonly method: string;
  /** As sent, percent-encoding included, without the query. */
  readonly path: string;
  /** Without the question mark; empty if there is none. */
  readonly query: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** The client's IP address, never an IPv4-mapped IPv6 address; empty if the connection is already closed. */
  readonly peer: string;
  /** The certificate of the TLS handshake, if the server requests one. */
  readonly clientCertificate?: X509Certificate | undefined;
  /** The local address that the client connected to; absent if the connection is already closed. */
  readonly localAddress?: string | undefined;
}

/** A long body in pieces. Each piece is produced once the client has read the previous ones. */
export type BodyPieces = AsyncIterable<Buffer>;

/** Receives the pieces of a live body. */
export interface LiveSink {
  /** Sends a piece. A client that reads too slowly is disconnected. After the end this does nothing. */
  send(piece: string | Buffer): void;
  /** Ends the body once the client has read everything that was sent. */
  end(): void;
}

/**
 * A body that stays open for as long as the client reads it, such as server-sent events. Calling it starts sending. The
 * returned function stops it and is called exactly once, whether the client disconnected, the server is shutting down
 * or the body ended.
 */
export type LiveBody = (sink: LiveSink) => () => void;

export interface HttpReply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Pieces are sent without Content-Length, in chunked encoding. */
  readonly body?: string | Buffer | BodyPieces | LiveBody;
}

export type HttpHandler = (request: HttpRequest) => HttpReply | Promise<HttpReply>;

/** Middleware around a server, before routing; see `EndpointLayer` for middleware after routing. */
export type Layer = (handler: HttpHandler) => HttpHandler;

/** Why a request was rejected: unknown host, remote address, forwarded by a proxy, client too old. */
export type Refusal = "host" | "address" | "proxy" | "old";

/** Wraps the handler in all layers, the first layer outermost. */
export function layered<Handler>(layers: readonly ((handler: Handler) => Handler)[], handler: Handler): Handler {
  return layers.reduceRight((inner, layer) => layer(inner), handler);
}

export const jsonType = "application/json";

const jsonHeaders = { "Content-Type": jsonType };

/** Pretty-printed with one space per level, like the reference's responses. */
export function jsonReply(status: number, value: unknown): HttpReply {
  return { status, headers: jsonHeaders, body: `${JSON.stringify(value, null, 1)}\n` };
}

/** A 200 response with JSON that is already serialized. */
export function renderedReply(body: NonNullable<HttpReply["body"]>): HttpReply {
  return { status: 200, headers: jsonHeaders, body };
}

interface ErrorOptions {
  readonly causes?: readonly Cause[];
  readonly headers?: Readonly<Record<string, string>>;
}

type Entry<Id extends ReplyId> = (typeof replies)[Id];
type ErrorParameters<Id extends ReplyId> = ParametersOf<Entry<Id>["message"]> &
  (Entry<Id>["title"] extends string ? unknown : { readonly title: string });

/**
 * The catalogue's error with this id, in the error format that all our HTTP servers share: `{title, details, causes?}`;
 * `causes` is omitted if empty.
 */
export function errorReply<Id extends ReplyId>(
  id: Id,
  ...rest: Given<ErrorParameters<Id>, [options?: ErrorOptions]>
): HttpReply {
  const [parameters = {}, { causes = [], headers } = {}] = rest;
  const { status, title = "title" in parameters ? parameters.title : "", message } = replies[id];
  const details = filled(message, { ...parameters });
  const reply = jsonReply(status, causes.length > 0 ? { title, details, causes } : { title, details });
  return headers === undefined ? reply : { ...reply, headers: { ...jsonHeaders, ...headers } };
}

/** 405: the path exists, but not with this method; `allowed` becomes the `Allow` header. */
export function methodNotAllowed(method: string, allowed: readonly string[]): HttpReply {
  const list = allowed.join(", ");
  return errorReply("http.method", { method, methods: list || "nothing" }, { headers: { Allow: list } });
}

/** 404 for an unknown path. */
export function pathNotFound(path: string, suggestion?: string): HttpReply {
  const hint = suggestion === undefined ? "" : `; did you mean "${suggestion}"?`;
  return errorReply("http.path", { path, hint });
}
