import type { Limit } from "./grpc-limits.js";

/** What one HTTP server grants a client, in bytes, milliseconds and counts. */
export interface HttpLimits {
  /** A larger request body is answered 413. */
  readonly bodyBytes: number;
  /** All header lines together; more is answered 431. */
  readonly headerBytes: number;
  /** From the first byte of a request to the end of its header; later is answered 408. */
  readonly headersMs: number;
  /** From the first byte of a request to its last; later is answered 408. */
  readonly requestMs: number;
  /** A kept-alive connection without a request, or a client that stopped reading its answer, is closed after this. */
  readonly idleMs: number;
  /** Requests of a connection that wait for their answers (pipelining); with one more it is closed. */
  readonly pipelined: number;
  /** Further connections are refused. */
  readonly connections: number;
}

export const defaultLimits: HttpLimits = {
  bodyBytes: 1024 * 1024,
  headerBytes: 16 * 1024,
  headersMs: 10_000,
  requestMs: 30_000,
  idleMs: 60_000,
  pipelined: 32,
  connections: 8_192,
};

/** What the HTTP servers grant to answers that stay open, such as server-sent events. */
export const streamLimits = {
  streams: {
    value: 512,
    unit: "",
    sentence: "Answers of the HTTP servers that stay open; one more is refused with 503.",
  },
  streams_per_address: {
    value: 64,
    unit: "",
    sentence: "The same of one address (IPv6: one /64); likewise.",
  },
  stream_queue: {
    value: 128 * 1024,
    unit: "bytes",
    sentence:
      "What such an answer has ready and its client has not taken, 512 bytes a piece included; beyond it the connection " +
      "is closed.",
  },
} as const satisfies Readonly<Record<string, Limit>>;

export type StreamLimitName = keyof typeof streamLimits;

/** What a request or a connection may go beyond, by its name in the metric `refusals`. */
export const httpLimitNames = [
  "body",
  "chunks",
  "unfinished",
  "header",
  "request_time",
  "pipelined",
  "connections",
  "streams",
  "streams_per_address",
  "stream_queue",
] as const;
export type HttpLimitName = (typeof httpLimitNames)[number];
