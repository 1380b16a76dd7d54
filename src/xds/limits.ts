import type { Limit } from "../net/grpc-limits.js";
import { type CallError, ofLimit } from "../net/grpc-status.js";

/** The limits of a discovery stream. */
export const xdsLimits = {
  names: {
    value: 100,
    unit: "",
    sentence:
      "Resource names of one type that a stream subscribes to, beyond the number of clusters that its proxy is sent or " +
      "has; further ones end the stream with RESOURCE_EXHAUSTED.",
  },
  names_in_request: {
    value: 20_000,
    unit: "",
    sentence:
      "Resource names in one request, including those from an earlier stream; more end the stream with RESOURCE_EXHAUSTED.",
  },
  name_length: {
    value: 1_024,
    unit: "bytes",
    sentence:
      "Length of a resource name that the control plane does not know; a longer one ends the stream with RESOURCE_EXHAUSTED.",
  },
  node_id_length: {
    value: 512,
    unit: "bytes",
    sentence:
      "Length of the node ID in the first request, <mesh>.<name>; a longer one ends the stream with RESOURCE_EXHAUSTED.",
  },
  metadata_length: {
    value: 4_096,
    unit: "bytes",
    sentence:
      "Length of each value that is read from the node's metadata; a longer one ends the stream with RESOURCE_EXHAUSTED.",
  },
  placements: {
    value: 4,
    unit: "",
    sentence:
      "Different combinations of token path, log directories, control plane host and bootstrap revision that the open " +
      "streams of one proxy have; a stream with a further one ends with RESOURCE_EXHAUSTED. A proxy that is restarted " +
      "with another bootstrap has two for a while.",
  },
  refusal_length: {
    value: 1_000,
    unit: "",
    sentence: "Length of a proxy's error message (NACK) that is kept, shown and logged; the rest is cut off.",
  },
} as const satisfies Readonly<Record<string, Limit>>;

export type XdsLimitName = keyof typeof xdsLimits;

/** A peer exceeded a limit; its stream must be closed. */
export class LimitExceeded extends Error {
  readonly limit: XdsLimitName;
  /** The status that closes the stream; its details are the message. */
  readonly ending: CallError;

  /** @param error what the peer did, as sent to it */
  constructor(limit: XdsLimitName, error: CallError) {
    const ending = ofLimit(limit, error);
    super(ending.details);
    this.limit = limit;
    this.ending = ending;
  }
}
