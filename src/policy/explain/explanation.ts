import type { Tags } from "../../resources/tags.js";
import type { PolicyMatch } from "../dataplane-policies.js";
import type { Certificate } from "./certificate.js";
import type { Delivered, Place } from "./observations.js";
import type { Outcome } from "./outcome.js";
import type { Problem } from "./problem.js";

/** Whether connections are allowed to all instances, to some, or to none. */
export type Verdict = "allowed" | "partial" | "denied";

/** A permission that allows a source, or would if it matched these instances (`other-tags`). */
export interface PermissionMatch extends PolicyMatch {
  /** The allowed service, if it is not the requested one: a certificate names all services of a dataplane. */
  readonly as?: string;
}

/** An outbound and the delivery of its listener, which is absent while the dataplane is offline. */
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
  /** The delivery of the listener that accepts the connections; absent while the dataplane is offline. */
  readonly listener?: Delivered;
  /** Its sidecar reported that the application does not accept connections. */
  readonly down?: true;
  readonly allowed: boolean;
  /** The permissions that allow it, by name and rule. */
  readonly permissions: readonly Pick<PolicyMatch, "name" | "rule">[];
  /** Whether a connection to it succeeds. */
  readonly connects: boolean;
}

/**
 * The destination of a share of the connections. Besides `healthCheck`, it has the names of other policies that take
 * effect on them, in the fields of the policy types that have a sentence for `explain`.
 */
export interface DestinationExplanation {
  readonly weight: number;
  readonly destination: Tags;
  /** The HealthCheck by which Envoy excludes endpoints. */
  readonly healthCheck?: string;
  readonly endpoints: readonly EndpointExplanation[];
  readonly connects: Outcome;
}

/**
 * The route of connections from dataplanes to which the same policies apply, with the names of other outbound policies
 * that take effect on them, as in `DestinationExplanation`.
 */
export interface RouteExplanation {
  /** Names of the dataplanes. Empty when none has the source service; the route is then hypothetical. */
  readonly sources: readonly string[];
  /** The services of their certificates. */
  readonly services: readonly string[];
  /** The TrafficRoute that applies; if absent, all connections go to the service itself. */
  readonly route?: PolicyMatch;
  /** Empty: the route has no destination with a weight. */
  readonly destinations: readonly DestinationExplanation[];
  readonly connects: Outcome;
}

/** A change that results in another verdict. */
export interface Advice {
  /** `enforce` enables mTLS, without which permissions have no effect. */
  readonly effect: "allow" | "deny" | "enforce";
  /** A resource to apply, in the form of a resource file. */
  readonly apply?: Readonly<Record<string, unknown>>;
  /** A resource to delete: it allows no other traffic. */
  readonly delete?: ResourceName;
  /** A resource whose selectors must be narrowed: deleting it would deny other traffic too. */
  readonly narrow?: ResourceName;
}

interface ResourceName {
  readonly type: string;
  readonly mesh: string;
  readonly name: string;
}

/** Whether and how connections from one service reach another. */
export interface TrafficExplanation {
  readonly mesh: string;
  readonly from: string;
  readonly to: string;
  readonly mtls: boolean;
  readonly verdict: Verdict;
  /** The verdict if mTLS were on; absent while it is on. */
  readonly withMtls?: Verdict;
  /** The outcome of new connections, as far as the control plane knows. */
  readonly connects: Outcome;
  readonly permissions: readonly PermissionMatch[];
  readonly problems: readonly Problem[];
  readonly sources: readonly SourceExplanation[];
  readonly routes: readonly RouteExplanation[];
  readonly advice: readonly Advice[];
}
