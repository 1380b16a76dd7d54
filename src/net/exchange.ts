import type { X509Certificate } from "node:crypto";
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
  /** IP address at the other end of the connection, an IPv4 address never in IPv6 form; empty when it is gone already. */
  readonly peer: string;
  /** What the client presented in its TLS handshake, as far as the server asks for certificates. */
  readonly clientCertificate?: X509Certificate | undefined;
  /** The address of this machine that the client connected to; absent when the connection is gone already. */
  readonly localAddress?: string | undefined;
}

/** Pieces of a long body, each made when the client has taken those before it. */
export type BodyPieces = AsyncIterable<Buffer>;

/** Where the pieces of a live body go. */
export interface LiveSink {
  /** Sends a piece; a client that takes too little of what it is sent is cut off. Nothing happens after the end. */
  send(piece: string | Buffer): void;
  /** Ends the body once the client has taken what was sent. */
  end(): void;
}

/**
 * A body that goes on for as long as somebody reads it, such as server-sent events. It begins to send when it is called,
 * and returns what stops it, which is called once: whether the client went, the server stops or the body ended.
 */
export type LiveBody = (sink: LiveSink) => () => void;

export interface HttpReply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Of pieces the client is told no length: they are sent in chunks. */
  readonly body?: string | Buffer | BodyPieces | LiveBody;
}

export type HttpHandler = (request: HttpRequest) => HttpReply | Promise<HttpReply>;

/** What is wrapped around a server, before it is known what a request is for; see `EndpointLayer` for what comes after. */
export type Layer = (handler: HttpHandler) => HttpHandler;

/** Why a request was not let in: an unknown host, a foreign address, a proxy in between, a client that is too old. */
export type Refusal = "host" | "address" | "proxy" | "old";

/** The handler inside of all layers; the first is the outermost. */
export function layered<Handler>(layers: readonly ((handler: Handler) => Handler)[], handler: Handler): Handler {
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
