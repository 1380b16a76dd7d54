import type { Selectors } from "../resources/selector.js";
import type { Tags } from "../resources/tags.js";
import { trafficRouteType } from "../resources/traffic-route.js";
import type { Stored } from "../store/store.js";
import { type Policies, type PolicyTable, policiesFor, tableOf } from "../view/policies.js";
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

/** A rule that is about something. */
export interface RuleMatch<Spec = unknown, Conf = unknown> {
  readonly policy: Stored<Spec>;
  /** Its place among the policy's rules. */
  readonly index: number;
  readonly conf: Conf | undefined;
  /** The selectors by which it is about that. */
  readonly source: Match;
  readonly destination: Match;
}

/** A rule that is about a proxy's connections to a service. */
export interface Candidate<Spec = unknown, Conf = unknown> extends RuleMatch<Spec, Conf>, Applicability {}

/** True when one inbound has all that the selector asks for; one without tags to ask for fits every proxy. */
export const matchesInbounds = (match: Match, inbounds: Inbounds): boolean =>
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

/**
 * The rules of a type's policies that are about a proxy's connections to a service. Where one of them takes effect it
 * comes first: the most specific, and of equally specific ones the first by name. Else they come in the order of the
 * policies' names and of the rules.
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
  // The sort is stable, and they came in the order of their names.
  return traits.combine === "one" ? found.sort((a, b) => compareRanks(b.rank, a.rank)) : found;
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
  const [winner] = candidates(tableOf(policies, trafficRouteType), inbounds, service);
  if (winner === undefined) return [{ weight: 100, destination: { service } }];
  return (winner.conf ?? [])
    .map(({ weight = 0, destination = {} }) => ({ weight, destination }))
    .filter(({ weight }) => weight > 0);
}
