import type { Limit } from "./grpc-limits.js";

/** Limits of one HTTP server, in bytes, milliseconds and counts. */
export interface HttpLimits {
  /** A larger request body gets 413. */
  readonly bodyBytes: number;
  /** All header lines together; more gets 431. */
  readonly headerBytes: number;
  /** From the first byte of a request to the end of its headers; longer gets 408. */
  readonly headersMs: number;
  /** From the first byte of a request to its last; longer gets 408. */
  readonly requestMs: number;
  /** A kept-alive connection without a request, or a client that stopped reading its answer, is closed after this. */
  readonly idleMs: number;
  /** Pipelined requests of a connection that wait for their responses; one more closes the connection. */
  readonly pipelined: number;
  /** Concurrent connections; further ones are rejected. */
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

/** Limits of the HTTP servers on responses that stay open, such as server-sent events. */
export const streamLimits = {
  streams: {
    value: 512,
    unit: "",
    sentence: "Open streaming responses of the HTTP servers; further ones are rejected with 503.",
  },
  streams_per_address: {
    value: 64,
    unit: "",
    sentence: "Open streaming responses per client address (IPv6: per /64); further ones are rejected with 503.",
  },
  stream_queue: {
    value: 128 * 1024,
    unit: "bytes",
    sentence:
      "Unsent data of a streaming response, with 512 bytes of overhead per chunk; when it is exceeded, the connection is " +
      "closed.",
  },
} as const satisfies Readonly<Record<string, Limit>>;

export type StreamLimitName = keyof typeof streamLimits;

/** Limits that a request or a connection may exceed, by their names in the metric `refusals`. */
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
