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
    sentence: "Time from a connection's first byte to its first valid request; then the connection is closed.",
  },
  settings_ack: {
    value: 10_000,
    unit: "milliseconds",
    sentence:
      "Time from a connection's start to the acknowledgement of the HTTP/2 settings; then the connection is closed.",
  },
  first_message_time: {
    value: 10_000,
    unit: "milliseconds",
    sentence: "Time from a call's start to its first valid request; then the call ends with DEADLINE_EXCEEDED.",
  },
  first_message: {
    value: 256 * 1024,
    unit: "bytes",
    sentence:
      "Size of a message up to a call's first valid request; a larger one ends the call with RESOURCE_EXHAUSTED.",
  },
  message: {
    value: 4 * 1024 * 1024,
    unit: "bytes",
    sentence:
      "Size of a message after a call's first valid request; a larger one ends the call with RESOURCE_EXHAUSTED.",
  },
  unfinished: {
    value: 64 * 1024 * 1024,
    unit: "bytes",
    sentence:
      "Incomplete messages and bodies of all peers together; when it is exceeded, the oldest call or connection is closed.",
  },
  calls: {
    value: 65_536,
    unit: "",
    sentence: "Open calls of a server; further ones end with RESOURCE_EXHAUSTED. A connection has at most 100.",
  },
  connections_per_address: {
    value: 1_024,
    unit: "",
    sentence: "Connections per address (IPv6: per /64) that have not sent a valid request; further ones are queued.",
  },
  opening_connections: {
    value: 2_048,
    unit: "",
    sentence: "Connections of all addresses that have not sent a valid request; further ones are queued.",
  },
  waiting_connections: {
    value: 8_192,
    unit: "",
    sentence:
      "Connections that have not sent a valid request, including queued ones, or half of the open-files limit if that is " +
      "lower; when it is exceeded, the oldest connection of the address that has the most is closed.",
  },
} as const satisfies Readonly<Record<string, Limit>>;

export type GrpcLimitName = keyof typeof grpcLimits;
