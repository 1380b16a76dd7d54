import type { IncomingHttpHeaders } from "node:http";
import { type Given, type ParametersOf, type ReplyId, replies } from "../lib/errors/catalogue.js";
import { filled } from "../lib/errors/entry.js";
import type { Cause } from "../lib/errors.js";

/** A request whose body has been read completely, within the server's limit. */
export interface HttpRequest {
  readonly method: string;
  /** As sent, percent-encoding included, without the query. */
  readonly path: string;
  /** Without its question mark; empty when there is none. */
  readonly query: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** IP address at the other end of the connection; empty when it is gone already. */
  readonly peer: string;
  /** The address of this machine that the client connected to; absent when the connection is gone already. */
  readonly localAddress?: string | undefined;
}

/** Pieces of a long body, each made when the client has taken those before it. */
export type BodyPieces = AsyncIterable<Buffer>;

export interface HttpReply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Of pieces the client is told no length: they are sent in chunks. */
  readonly body?: string | Buffer | BodyPieces;
}

export type HttpHandler = (request: HttpRequest) => HttpReply | Promise<HttpReply>;

/** What stands around a server's endpoints: it may answer in their place. */
export type Layer = (handler: HttpHandler) => HttpHandler;

/** Why a request was not let in: an unknown host, a foreign address, a proxy in between, a client that is too old. */
export type Refusal = "host" | "address" | "proxy" | "old";

/** The handler inside of all layers; the first is the outermost. */
export function layered(layers: readonly Layer[], handler: HttpHandler): HttpHandler {
  return layers.reduceRight((inner, layer) => layer(inner), handler);
}

export const jsonType = "application/json";

const jsonHeaders = { "Content-Type": jsonType };

/** Pretty-printed with one space a level, as the reference prints its answers. */
export function jsonReply(status: number, value: unknown): HttpReply {
  return { status, headers: jsonHeaders, body: `${JSON.stringify(value, null, 1)}\n` };
}

/** JSON text or bytes that were rendered earlier. */
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
 * The error of the catalogue that has this id, in the one error body of all our HTTP servers:
 * `{title, details, causes?}`; `causes` is left out when empty.
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

/** 405: the path exists, the method does not; `allowed` become the `Allow` header. */
export function methodNotAllowed(method: string, allowed: readonly string[]): HttpReply {
  const list = allowed.join(", ");
  return errorReply("http.method", { method, methods: list || "nothing" }, { headers: { Allow: list } });
}

/** 404 for a path that no server of ours has. */
export function pathNotFound(path: string, suggestion?: string): HttpReply {
  const hint = suggestion === undefined ? "" : `; did you mean "${suggestion}"?`;
  return errorReply("http.path", { path, hint });
}

/**
 * Serves a fixed table: path → method → handler. Paths take an optional trailing slash, HEAD is answered like GET,
 * an unknown path is 404 and a known one with another method 405.
 */
export function route(table: Readonly<Record<string, Readonly<Record<string, HttpHandler>>>>): HttpHandler {
  const paths = new Map(Object.entries(table));
  return (request) => {
    const path = request.path.length > 1 && request.path.endsWith("/") ? request.path.slice(0, -1) : request.path;
    const methods = paths.get(path);
    if (methods === undefined) return pathNotFound(request.path);
    const method = request.method === "HEAD" && methods.GET !== undefined ? "GET" : request.method;
    const handler = Object.hasOwn(methods, method) ? methods[method] : undefined;
    return handler === undefined ? methodNotAllowed(request.method, Object.keys(methods)) : handler(request);
  };
}
