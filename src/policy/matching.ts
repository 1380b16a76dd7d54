import type { HealthCheck } from "../resources/health-check.js";
import { rulesOf } from "../resources/rules.js";
import type { Selectors } from "../resources/selector.js";
import type { Tags } from "../resources/tags.js";
import type { TrafficLog } from "../resources/traffic-log.js";
import type { TrafficRoute } from "../resources/traffic-route.js";
import type { Stored } from "../store/store.js";
import { type Policies, policiesFor } from "../view/policies.js";
import { addRanks, bestMatch, compareRanks, type Match, matchesService, matchesTags, type Rank } from "./selector.js";

/** The inbounds' tags of the proxy whose policies are looked for. */
export type Inbounds = readonly { readonly tags: Tags }[];

/** A policy that may apply, and how specific it is: of several the most specific one does. */
export interface Ranked<Spec> {
  readonly policy: Stored<Spec>;
  readonly rank: Rank;
}

/** The selectors by which a policy is about a proxy's connections to a service, and how specific they are together. */
interface Applicability {
  readonly source: Match;
  readonly destination: Match;
  readonly rank: Rank;
}

/** A policy that applies to a proxy's connections to a service, unless another one is more specific. */
export interface Candidate<Spec> extends Ranked<Spec>, Applicability {}

/** True when one inbound has all that the selector asks for; one without tags to ask for fits every proxy. */
const matchesInbounds = (match: Match, inbounds: Inbounds): boolean =>
  match === undefined || Object.keys(match).length === 0 || inbounds.some(({ tags }) => matchesTags(match, tags));

/** By a source that is the proxy and a destination that is the service; undefined when there is none. */
function applicability(
  { sources = [], destinations = [] }: { readonly sources?: Selectors; readonly destinations?: Selectors },
  inbounds: Inbounds,
  service: string,
): Applicability | undefined {
  const source = bestMatch(sources, (match) => matchesInbounds(match, inbounds));
  const destination = bestMatch(destinations, (match) => matchesService(match, service));
  if (source === undefined || destination === undefined) return undefined;
  return { source: source.match, destination: destination.match, rank: addRanks(source.rank, destination.rank) };
}

interface OutboundSpecs {
  readonly TrafficRoute: TrafficRoute;
  readonly HealthCheck: HealthCheck;
}

/**
 * The policies of a type that apply to a proxy's connections to a service, the one that wins first: the most specific,
 * and of equally specific ones the first by name.
 */
export function candidates<Type extends keyof OutboundSpecs>(
  policies: Policies,
  type: Type,
  inbounds: Inbounds,
  service: string,
): readonly Candidate<OutboundSpecs[Type]>[] {
  const found: Candidate<OutboundSpecs[Type]>[] = [];
  for (const policy of policiesFor(policies, type, service) as readonly Stored<OutboundSpecs[Type]>[]) {
    const applies = applicability(policy.spec, inbounds, service);
    if (applies !== undefined) found.push({ policy, ...applies });
  }
  // The sort is stable, and they came in the order of their names.
  return found.sort((a, b) => compareRanks(b.rank, a.rank));
}

/** Where a share of the connections to a service goes. */
export interface Share {
  /** More than zero, relative to the others. */
  readonly weight: number;
  readonly destination: Tags;
}

/**
 * How the connections to a service are divided: by the route that wins, or all of them to the service itself. Nothing
 * is left when the route gives every destination a weight of zero.
 */
export function sharesOf(policies: Policies, inbounds: Inbounds, service: string): readonly Share[] {
  const [winner] = candidates(policies, "TrafficRoute", inbounds, service);
  if (winner === undefined) return [{ weight: 100, destination: { service } }];
  return (winner.policy.spec.conf ?? [])
    .map(({ weight = 0, destination = {} }) => ({ weight, destination }))
    .filter(({ weight }) => weight > 0);
}

/** The health check of a proxy's connections to a service. */
export function healthCheckOf(policies: Policies, inbounds: Inbounds, service: string): HealthCheck | undefined {
  return candidates(policies, "HealthCheck", inbounds, service)[0]?.policy.spec;
}

/** A rule by which the connections to a service are logged. */
export interface LogRule {
  readonly policy: Stored<TrafficLog>;
  /** Its place among the policy's rules. */
  readonly index: number;
  /** Undefined: the mesh's default one. */
  readonly backend: string | undefined;
  /** The selectors by which it is about these connections. */
  readonly source: Match;
  readonly destination: Match;
}

/** Every rule that logs a proxy's connections to a service, in the order of the policies' names and of the rules. */
export function logRules(policies: Policies, inbounds: Inbounds, service: string): readonly LogRule[] {
  return policiesFor(policies, "TrafficLog", service).flatMap((policy) =>
    rulesOf(policy.spec).flatMap((rule, index) => {
      const applies = applicability(rule, inbounds, service);
      if (applies === undefined) return [];
      const { source, destination } = applies;
      return [{ policy, index, backend: rule.conf?.backend || undefined, source, destination }];
    }),
  );
}
