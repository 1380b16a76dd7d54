import type { Selectors } from "../resources/selector.js";
import type { Tags } from "../resources/tags.js";
import { trafficRouteType } from "../resources/traffic-route.js";
import type { Stored } from "../store/store.js";
import { type Policies, type PolicyTable, policiesFor, tableOf } from "../view/policies.js";
import { addRanks, bestMatch, compareRanks, type Match, matchesService, matchesTags, type Rank } from "./selector.js";

/** The tags of a proxy's inbounds. */
export type Inbounds = readonly { readonly tags: Tags }[];

/** A policy that may apply, and how specific it is. If several may, the most specific one applies. */
export interface Ranked<Spec> {
  readonly policy: Stored<Spec>;
  readonly rank: Rank;
}

/** The selectors of a policy that match a proxy's connections to a service, and how specific they are together. */
interface Applicability {
  readonly source: Match;
  readonly destination: Match;
  readonly rank: Rank;
}

/** A rule that matches something. */
export interface RuleMatch<Spec = unknown, Conf = unknown> {
  readonly policy: Stored<Spec>;
  /** Its index among the policy's rules. */
  readonly index: number;
  readonly conf: Conf | undefined;
  /** The selectors that match. */
  readonly source: Match;
  readonly destination: Match;
}

/** A rule that matches a proxy's connections to a service. */
export interface Candidate<Spec = unknown, Conf = unknown> extends RuleMatch<Spec, Conf>, Applicability {}

/** Whether one inbound matches the selector. A selector without tags matches every proxy. */
export const matchesInbounds = (match: Match, inbounds: Inbounds): boolean =>
  match === undefined || Object.keys(match).length === 0 || inbounds.some(({ tags }) => matchesTags(match, tags));

/** The best source for the proxy and the best destination for the service; undefined if either does not match. */
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

/**
 * The rules of a type's policies that match a proxy's connections to a service. If only one of them takes effect, they
 * are sorted by how specific they are, and then by policy name, so that this one comes first. Otherwise they are in the
 * order of the policies' names and of the rules.
 */
export function candidates<Spec, Conf>(
  table: PolicyTable<Spec, Conf>,
  inbounds: Inbounds,
  service: string,
): readonly Candidate<Spec, Conf>[] {
  const { policy: traits } = table.type;
  const found: Candidate<Spec, Conf>[] = [];
  for (const policy of policiesFor(table, service)) {
    const rules = traits.rules(policy.spec);
    for (let index = 0; index < rules.length; index++) {
      const rule = rules[index] ?? {};
      const applies = applicability(rule, inbounds, service);
      if (applies === undefined) continue;
      const { source, destination, rank } = applies;
      found.push({ policy, index, conf: rule.conf, source, destination, rank });
    }
  }
  // The sort is stable, and the rules are already in the order of names.
  return traits.combine === "one" ? found.sort((a, b) => compareRanks(b.rank, a.rank)) : found;
}

/** A share of the connections to a service, and its destination. */
export interface Share {
  /** More than zero, relative to the others. */
  readonly weight: number;
  readonly destination: Tags;
}

/**
 * How the connections to a service are divided: by the TrafficRoute that applies, or without one, all of them to the
 * service itself. Empty when the route gives every destination a weight of zero.
 */
export function sharesOf(policies: Policies, inbounds: Inbounds, service: string): readonly Share[] {
  const [winner] = candidates(tableOf(policies, trafficRouteType), inbounds, service);
  if (winner === undefined) return [{ weight: 100, destination: { service } }];
  return (winner.conf ?? [])
    .map(({ weight = 0, destination = {} }) => ({ weight, destination }))
    .filter(({ weight }) => weight > 0);
}
