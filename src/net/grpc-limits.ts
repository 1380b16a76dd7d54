/** A limit on what a peer may cost a server. Its key in a table is its name in the metric `refusals`. */
export interface Limit {
  readonly value: number;
  readonly unit: "bytes" | "milliseconds" | "";
  /** What it limits, and what happens when it is exceeded. */
  readonly sentence: string;
}

/** Limits of the gRPC servers (xDS and SDS) per peer. */
export const grpcLimits = {
  opening_time: {
    value: 10_000,
    unit: "milliseconds",
    sentence: "From a connection's first byte to its first valid request; later it is closed.",
  },
  settings_ack: {
    value: 10_000,
    unit: "milliseconds",
    sentence: "From a connection's start to the acknowledgement of our HTTP/2 settings; later it is closed.",
  },
  first_message_time: {
    value: 10_000,
    unit: "milliseconds",
    sentence: "From a call's start to its first valid request; later it ends as DEADLINE_EXCEEDED.",
  },
  first_message: {
    value: 256 * 1024,
    unit: "bytes",
    sentence: "A call's messages up to its first valid request; a longer one ends it as RESOURCE_EXHAUSTED.",
  },
  message: {
    value: 4 * 1024 * 1024,
    unit: "bytes",
    sentence: "A message after that; a longer one ends its call as RESOURCE_EXHAUSTED.",
  },
  unfinished: {
    value: 64 * 1024 * 1024,
    unit: "bytes",
    sentence: "Unfinished messages and bodies of all peers together; beyond it the oldest call or connection ends.",
  },
  calls: {
    value: 65_536,
    unit: "",
    sentence: "Open calls of a server; one more ends as RESOURCE_EXHAUSTED. A connection has at most 100.",
  },
  connections_per_address: {
    value: 1_024,
    unit: "",
    sentence:
      "Connections of one address (IPv6: one /64) that have not sent a valid request; further ones wait for their turn.",
  },
  opening_connections: {
    value: 2_048,
    unit: "",
    sentence: "The same for all addresses together; further ones wait for their turn.",
  },
  waiting_connections: {
    value: 8_192,
    unit: "",
    sentence:
      "Connections that have not sent a valid request, those that wait included, or half of the files that may be open; " +
      "beyond it the oldest of the address that has most is closed.",
  },
} as const satisfies Readonly<Record<string, Limit>>;

export type GrpcLimitName = keyof typeof grpcLimits;
