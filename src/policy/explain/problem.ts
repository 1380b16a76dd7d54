export type ProblemCode =
  /** No dataplane has the source service, or one has no outbound to the destination. */
  | "no-source"
  | "no-outbound"
  /** No proxy of the dataplane is connected. */
  | "offline"
  | "certificate-missing"
  | "certificate-expired"
  /** It is still valid, but the next one was refused. */
  | "certificate-refused"
  /** Its services differ from those of the dataplane's inbounds. */
  | "certificate-outdated"
  /** Envoy rejected the listener, or has not acknowledged it yet. */
  | "refused"
  | "pending"
  /** A ProxyTemplate omits the listener, or overrides it. */
  | "no-listener"
  | "raw"
  /** The route has no destination with a weight, or leads to another service. */
  | "nowhere"
  | "elsewhere"
  /** No dataplane has a destination's tags, or the one that has them has an interface that can't be parsed. */
  | "no-endpoint"
  | "unusable"
  /** The inbound of a dataplane has no address that other proxies could connect to. */
  | "unreachable"
  /** The sidecar of an instance reported that its application does not accept connections. */
  | "application-down"
  | "not-permitted"
  /** A TrafficLog uses a file that a source's machine does not allow. */
  | "not-logged";

/** Something that prevents connections, or that is probably not intended. */
export interface Problem {
  readonly code: ProblemCode;
  /** A sentence without a full stop. */
  readonly message: string;
  readonly dataplanes?: readonly string[];
}
