import type { Tags } from "../../resources/tags.js";
import type { PolicyMatch } from "../dataplane-policies.js";
import type { Certificate } from "./certificate.js";
import type { Delivered, Place } from "./observations.js";
import type { Outcome } from "./outcome.js";
import type { Problem } from "./problem.js";

/** Whether something is allowed: to all instances, to some of them, or to none. */
export type Verdict = "allowed" | "partial" | "denied";

/** A permission by which a source may connect, or might if it were for these instances (`other-tags`). */
export interface PermissionMatch extends PolicyMatch {
  /** The service as which it may, where that is not the one asked about: a certificate names all of a dataplane's. */
  readonly as?: string;
}

/** An outbound, and how Envoy stands to its listener; that is absent while the dataplane is offline. */
export interface OutboundExplanation extends Place {
  readonly listener?: Delivered;
}

/** A dataplane of the source service. */
export interface SourceExplanation {
  readonly dataplane: string;
  readonly online: boolean;
  /** Absent while mTLS is off. */
  readonly certificate?: Certificate;
  /** Its outbounds to the destination service. */
  readonly outbounds: readonly OutboundExplanation[];
  readonly connects: Outcome;
}

/** An instance of a destination. */
export interface EndpointExplanation extends Place {
  readonly dataplane: string;
  readonly tags: Tags;
  readonly online: boolean;
  readonly certificate?: Certificate;
  /** How its Envoy stands to the listener that takes the connections; absent while it is offline. */
  readonly listener?: Delivered;
  /** Its sidecar found that the application behind it does not accept connections. */
  readonly down?: true;
  readonly allowed: boolean;
  /** The permissions that allow it, by name and rule. */
  readonly permissions: readonly Pick<PolicyMatch, "name" | "rule">[];
  /** Whether a connection to it gets through. */
  readonly connects: boolean;
}

/**
 * Where a share of the connections goes. Beside `healthCheck` stand the names of other policies that take effect on them,
 * by the fields of those of their types which have a sentence for it.
 */
export interface DestinationExplanation {
  readonly weight: number;
  readonly destination: Tags;
  /** The HealthCheck by which Envoy leaves endpoints out. */
  readonly healthCheck?: string;
  readonly endpoints: readonly EndpointExplanation[];
  readonly connects: Outcome;
}

/**
 * The way that connections take from dataplanes for which the same policies apply; with the names of other policies for
 * outbounds that take effect on them, as in `DestinationExplanation`.
 */
export interface RouteExplanation {
  /** Their names; none when no dataplane offers the source service, and this is how it would be. */
  readonly sources: readonly string[];
  /** The services as which they connect. */
  readonly services: readonly string[];
  /** The TrafficRoute that applies; without one all connections go to the service itself. */
  readonly route?: PolicyMatch;
  /** None at all: the route sends connections nowhere. */
  readonly destinations: readonly DestinationExplanation[];
  readonly connects: Outcome;
}

/** What to change to get another verdict. */
export interface Advice {
  /** `enforce` switches mTLS on, without which permissions have no effect. */
  readonly effect: "allow" | "deny" | "enforce";
  /** A resource to apply, as in files. */
  readonly apply?: Readonly<Record<string, unknown>>;
  /** A resource to delete: it allows nothing else. */
  readonly delete?: ResourceName;
  /** A resource whose selectors have to be narrowed: other traffic that it allows would end with it. */
  readonly narrow?: ResourceName;
}

interface ResourceName {
  readonly type: string;
  readonly mesh: string;
  readonly name: string;
}

/** Whether and how one service's connections reach another one. */
export interface TrafficExplanation {
  readonly mesh: string;
  readonly from: string;
  readonly to: string;
  readonly mtls: boolean;
  readonly verdict: Verdict;
  /** What the verdict would be with mTLS on; absent while it is. */
  readonly withMtls?: Verdict;
  /** What new connections experience, as far as the control plane knows. */
  readonly connects: Outcome;
  readonly permissions: readonly PermissionMatch[];
  readonly problems: readonly Problem[];
  readonly sources: readonly SourceExplanation[];
  readonly routes: readonly RouteExplanation[];
  readonly advice: readonly Advice[];
}
