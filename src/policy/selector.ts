import type { Dataplane } from "../resources/dataplane.js";
import { serviceTag, type Tags } from "../resources/tags.js";

/** The tags of a selector. Without tags, it matches everything. */
export type Match = Tags | undefined;

/** Matches any value of a tag, but not its absence. */
const anyValue = "*";

/** Whether `tags` has every tag of the selector, with its value. */
export function matchesTags(match: Match, tags: Match): boolean {
  if (match === undefined) return true;
  for (const key of Object.keys(match)) {
    // A tag may have the name of an inherited property, such as `constructor`.
    if (tags === undefined || !Object.hasOwn(tags, key)) return false;
    const wanted = match[key];
    if (wanted !== anyValue && wanted !== tags[key]) return false;
  }
  return true;
}

/** Whether one inbound alone matches: tags of different inbounds are not combined. Always true without tags. */
export function matchesDataplane(match: Match, { networking }: Dataplane): boolean {
  if (match === undefined || Object.keys(match).length === 0) return true;
  return networking?.inbound?.some(({ tags }) => matchesTags(match, tags)) ?? false;
}

/**
 * Whether a destination selector matches the service of an outbound. Its other tags are ignored, because an outbound
 * has one listener for all endpoints. A selector without a service matches none.
 */
export function matchesService(match: Match, service: string): boolean {
  if (match === undefined || !Object.hasOwn(match, serviceTag)) return false;
  const wanted = match[serviceTag];
  return wanted === anyValue || wanted === service;
}

/** How specific a selector is, or a source and a destination combined. */
export interface Rank {
  readonly exact: number;
  readonly wildcard: number;
}

export function rankOf(match: Match): Rank {
  let exact = 0;
  let wildcard = 0;
  for (const key in match) {
    if (!Object.hasOwn(match, key)) continue;
    if (match[key] === anyValue) wildcard += 1;
    else exact += 1;
  }
  return { exact, wildcard };
}

export const addRanks = (a: Rank, b: Rank): Rank => ({
  exact: a.exact + b.exact,
  wildcard: a.wildcard + b.wildcard,
});

/** Positive when `a` is more specific: it has more tags, or as many and more exact values. */
export function compareRanks(a: Rank, b: Rank): number {
  return a.exact + a.wildcard - (b.exact + b.wildcard) || a.exact - b.exact;
}

/** A selector that matches, and how specific it is. */
export interface BestMatch {
  readonly match: Match;
  readonly rank: Rank;
}

/**
 * The most specific of the selectors that match, and the first of equally specific ones; undefined when none matches.
 */
export function bestMatch(
  selectors: readonly { readonly match?: Tags }[],
  passes: (match: Match) => boolean,
): BestMatch | undefined {
  let best: BestMatch | undefined;
  for (const { match } of selectors) {
    if (!passes(match)) continue;
    const rank = rankOf(match);
    if (best === undefined || compareRanks(rank, best.rank) > 0) best = { match, rank };
  }
  return best;
}
