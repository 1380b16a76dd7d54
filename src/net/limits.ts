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

/** What a request or a connection may go beyond, by its name in the metric `refusals`. */
export const httpLimitNames = [
  "body",
  "chunks",
  "unfinished",
  "header",
  "request_time",
  "pipelined",
  "connections",
] as const;
export type HttpLimitName = (typeof httpLimitNames)[number];
