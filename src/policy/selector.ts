import type { Dataplane } from "../resources/dataplane.js";
import { serviceTag, type Tags } from "../resources/tags.js";

/** The tags a selector asks for; none at all match everything. */
export type Match = Tags | undefined;

/** The value that stands for any value of a tag, though not for its absence. */
const anyValue = "*";

/** True when every tag asked for is there, with the value asked for. */
export function matchesTags(match: Match, tags: Match): boolean {
  if (match === undefined) return true;
  for (const key of Object.keys(match)) {
    // A tag may be called like a member of every object, `constructor` for example.
    if (tags === undefined || !Object.hasOwn(tags, key)) return false;
    const wanted = match[key];
    if (wanted !== anyValue && wanted !== tags[key]) return false;
  }
  return true;
}

/** True when one inbound matches on its own: tags of different inbounds don't add up. Without tags, always. */
export function matchesDataplane(match: Match, { networking }: Dataplane): boolean {
  if (match === undefined || Object.keys(match).length === 0) return true;
  return networking?.inbound?.some(({ tags }) => matchesTags(match, tags)) ?? false;
}

/**
 * True when a destination selector means the service an outbound leads to. Its other tags are ignored: an outbound has
 * one listener for all endpoints. A selector without a service means none.
 */
export function matchesService(match: Match, service: string): boolean {
  if (match === undefined || !Object.hasOwn(match, serviceTag)) return false;
  const wanted = match[serviceTag];
  return wanted === anyValue || wanted === service;
}

/** How specific a selector is, or a source and a destination together. */
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

/** Positive when `a` is more specific: more tags first, then more exact ones. */
export function compareRanks(a: Rank, b: Rank): number {
  return a.exact + a.wildcard - (b.exact + b.wildcard) || a.exact - b.exact;
}

/** A selector that passes, and how specific it is. */
export interface BestMatch {
  readonly match: Match;
  readonly rank: Rank;
}

/** The most specific among the selectors that pass, the first of equals; undefined when none does. */
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
