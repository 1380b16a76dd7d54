import type { Tags } from "../../resources/tags.js";

type DeliveredState =
  /** Envoy acknowledged all of it. */
  | "acknowledged"
  /** Not sent or not acknowledged yet: Envoy uses the previous version. */
  | "pending"
  /** Envoy rejected it and uses the previous version, if any. */
  | "refused"
  /** Its configuration has no such listener: a ProxyTemplate omits it. */
  | "absent"
  /** The proxy is connected to another control plane instance, and no problem of it is known. */
  | "unknown";

/** The delivery status of a part of a proxy's configuration. */
export interface Delivered {
  readonly state: DeliveredState;
  /** Envoy's error message, if it rejected the part. */
  readonly reason?: string;
  /** Envoy has an earlier version of the rejected part. */
  readonly earlier?: true;
  /** Text about the listener kind; absent for a TCP proxy. */
  readonly kind?: string;
  /** A ProxyTemplate overrides it with a raw resource, whose content is not analysed. */
  readonly raw?: true;
}

/** The runtime state of a proxy. */
export interface ProxyObservation {
  /** Connected to a control plane. */
  readonly online: boolean;
  /** Expiry of the certificate that it acknowledged last. */
  readonly notAfter: Date | undefined;
  /** The services in this certificate; undefined when another control plane instance issued it. */
  readonly services: readonly string[] | undefined;
  /** Whether it allows Envoy to write logs to a file; undefined when this instance does not know. */
  readonly mayLogTo?: ((file: string) => boolean) | undefined;
  /** Why it was refused a new certificate. */
  readonly refusal: string | undefined;
}

/** The address of a listener. */
export interface Place {
  readonly address: string;
  readonly port: number;
}

/** The state of the streams of a mesh's proxies at one moment. */
export interface Observations {
  readonly now: Date;
  proxy(name: string): ProxyObservation;
  /** The delivery of the inbound listener at this address. */
  inbound(proxy: string, place: Place): Delivered;
  /** The delivery of the outbound listener at this address, with everything that it needs to reach the destinations. */
  outbound(proxy: string, place: Place, destinations: readonly Tags[]): Delivered;
}
