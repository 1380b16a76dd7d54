import { serviceTag, type Tags } from "../resources/tags.js";
import type { Stored } from "../store/store.js";
import { anyService, type PolicyTable, policiesFor } from "../view/policies.js";
import { type Inbounds, matchesInbounds, type Ranked } from "./matching.js";
import { bestMatch, compareRanks, type Match } from "./selector.js";

/** A policy that matches a proxy as a whole. */
export interface DataplaneCandidate<Spec> extends Ranked<Spec> {
  /** The selector that matches the proxy; undefined or empty: matches every proxy. */
  readonly selector: Match;
}

/** Whether one inbound has every tag with exactly its value: `*` is not a wildcard here. */
function hasExactly(match: Tags, inbounds: Inbounds): boolean {
  const wanted = Object.entries(match);
  if (wanted.length === 0) return true;
  return inbounds.some(({ tags }) => wanted.every(([key, value]) => Object.hasOwn(tags, key) && tags[key] === value));
}

/** The policies of a type that match a proxy as a whole, sorted by number of tags, most first, and then by name. */
export function dataplaneCandidates<Spec>(
  table: PolicyTable<Spec>,
  inbounds: Inbounds,
): readonly DataplaneCandidate<Spec>[] {
  const { rules, literal } = table.type.policy;
  const known = new Map<string, Stored<Spec>>();
  for (const service of new Set([anyService, ...inbounds.map(({ tags }) => tags[serviceTag] ?? "")])) {
    for (const policy of policiesFor(table, service)) known.set(policy.name, policy);
  }
  const matches =
    literal === true
      ? (match: Match = {}) => hasExactly(match, inbounds)
      : (match: Match) => matchesInbounds(match, inbounds);
  const found: DataplaneCandidate<Spec>[] = [];
  for (const policy of known.values()) {
    const best = bestMatch(
      rules(policy.spec).flatMap(({ destinations = [] }) => destinations),
      matches,
    );
    if (best !== undefined) found.push({ policy, rank: best.rank, selector: best.match });
  }
  return found.sort((a, b) => compareRanks(b.rank, a.rank) || (a.policy.name < b.policy.name ? -1 : 1));
}
