export type ProblemCode =
  /** No dataplane offers the source service, or one has no outbound to the destination. */
  | "no-source"
  | "no-outbound"
  /** No proxy of the dataplane is connected. */
  | "offline"
  | "certificate-missing"
  | "certificate-expired"
  /** It lives, and the next one was refused. */
  | "certificate-refused"
  /** It names other services than the dataplane offers. */
  | "certificate-outdated"
  /** Envoy refuses its listener, or has not acknowledged it yet. */
  | "refused"
  | "pending"
  /** A ProxyTemplate leaves the listener out, or puts another one in its place. */
  | "no-listener"
  | "raw"
  /** The route gives no destination any weight, or another service is the destination. */
  | "nowhere"
  | "elsewhere"
  /** No dataplane has a destination's tags, or the one that has them has an interface that can't be read. */
  | "no-endpoint"
  | "unusable"
  /** The inbound of a dataplane has no address that others could connect to. */
  | "unreachable"
  /** The sidecar of an instance found that its application does not accept connections. */
  | "application-down"
  | "not-permitted"
  /** A TrafficLog has a source log to a file where its machine allows none. */
  | "not-logged";

/** Something that keeps connections from getting through, or that was perhaps not meant. */
export interface Problem {
  readonly code: ProblemCode;
  /** A sentence without a full stop. */
  readonly message: string;
  readonly dataplanes?: readonly string[];
}
