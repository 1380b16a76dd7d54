import type { Tags } from "../../resources/tags.js";

type DeliveredState =
  /** Envoy has all of it. */
  | "acknowledged"
  /** It was not sent or not acknowledged yet: Envoy goes by what it had before. */
  | "pending"
  /** Envoy goes by what it had before, if it had anything. */
  | "refused"
  /** Its configuration has no such listener: a ProxyTemplate leaves it out. */
  | "absent"
  /** Another control plane serves the proxy, and nothing bad was heard of it. */
  | "unknown";

/** How a proxy's Envoy stands to a part of its configuration. */
export interface Delivered {
  readonly state: DeliveredState;
  /** Envoy's words, where it refused. */
  readonly reason?: string;
  /** Envoy has an earlier content of what it refused. */
  readonly earlier?: true;
  /** What there is to say of its kind; nothing of a listener that hands on TCP connections. */
  readonly kind?: string;
  /** A ProxyTemplate put something else in its place, which nobody reads here. */
  readonly raw?: true;
}

/** What is known of a proxy besides its Dataplane. */
export interface ProxyObservation {
  /** Connected to a control plane. */
  readonly online: boolean;
  /** Until when the certificate is valid that it acknowledged last. */
  readonly notAfter: Date | undefined;
  /** The services that this certificate names; undefined when another control plane issued it. */
  readonly services: readonly string[] | undefined;
  /** Whether it allows Envoy to write logs to a file; undefined when that is not known here. */
  readonly mayLogTo?: ((file: string) => boolean) | undefined;
  /** Why it was refused another one. */
  readonly refusal: string | undefined;
}

/** Where a listener listens. */
export interface Place {
  readonly address: string;
  readonly port: number;
}

/** What the streams of the proxies of one mesh tell at one moment. */
export interface Observations {
  readonly now: Date;
  proxy(name: string): ProxyObservation;
  /** How the listener stands that takes connections from the mesh there. */
  inbound(proxy: string, place: Place): Delivered;
  /** How the listener stands that takes connections to a service there, with all that it needs to reach the destinations. */
  outbound(proxy: string, place: Place, destinations: readonly Tags[]): Delivered;
}
