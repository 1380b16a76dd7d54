import type { Ranked } from "./matching.js";
import { compareRanks } from "./selector.js";

/** Why a policy applies or does not apply where only one of several does. */
export type Standing =
  /** Applies: no other policy matches. */
  | "only"
  /** Applies: it has more tags than the next one; the same number, but fewer `*`; or its name comes first. */
  | "more-specific"
  | "more-exact"
  | "first-by-name"
  /** Does not apply, compared with the one that does. */
  | "less-specific"
  | "less-exact"
  | "later-by-name";

const tags = ({ rank }: Ranked<unknown>) => rank.exact + rank.wildcard;

/** The standing of each candidate. They must be sorted, the one that applies first. */
export function standings(candidates: readonly Ranked<unknown>[]): readonly Standing[] {
  const [winner, next] = candidates;
  return candidates.map((candidate) => {
    if (winner === undefined || next === undefined) return "only";
    const won = candidate === winner;
    const other = won ? next : winner;
    if (tags(candidate) !== tags(other)) return won ? "more-specific" : "less-specific";
    if (compareRanks(candidate.rank, other.rank) !== 0) return won ? "more-exact" : "less-exact";
    return won ? "first-by-name" : "later-by-name";
  });
}
