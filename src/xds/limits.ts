import type { Limit } from "../net/grpc-limits.js";
import { type CallError, ofLimit } from "../net/grpc-status.js";

/** The limits of a discovery stream. */
export const xdsLimits = {
  names: {
    value: 100,
    unit: "",
    sentence:
      "Names of a type that a stream asks for, beyond the number of clusters that its proxy is sent or holds; one more " +
      "ends it as RESOURCE_EXHAUSTED.",
  },
  names_in_request: {
    value: 20_000,
    unit: "",
    sentence: "Names in one request, those that it brings along from an earlier stream included; likewise.",
  },
  name_length: {
    value: 1_024,
    unit: "bytes",
    sentence: "A name that the control plane does not know; likewise.",
  },
  node_id_length: {
    value: 512,
    unit: "bytes",
    sentence: "The node id of the first request, <mesh>.<name>; likewise.",
  },
  metadata_length: {
    value: 4_096,
    unit: "bytes",
    sentence: "What is read of the node's metadata, each value; likewise.",
  },
  placements: {
    value: 4,
    unit: "",
    sentence:
      "Different places of tokens, logs and the control plane, and revisions of bootstraps, that the streams of one " +
      "proxy name at a time; one more ends as RESOURCE_EXHAUSTED. A proxy that is restarted with another bootstrap has " +
      "two for a while.",
  },
  refusal_length: {
    value: 1_000,
    unit: "",
    sentence: "Characters of a proxy's refusal that are kept, shown and logged; the rest is cut off.",
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
