import type { Ranked } from "./matching.js";
import { compareRanks } from "./selector.js";

/** Why a policy applies where one of several does, or why it does not. */
export type Standing =
  /** Applies, as nothing else is about the same. */
  | "only"
  /** Applies: it has more tags than the next one; as many, but fewer `*`; equal in both, but its name comes first. */
  | "more-specific"
  | "more-exact"
  | "first-by-name"
  /** Does not, compared with the one that does. */
  | "less-specific"
  | "less-exact"
  | "later-by-name";

const tags = ({ rank }: Ranked<unknown>) => rank.exact + rank.wildcard;

/** The standing of each of the candidates, which come in their order: the one that applies first. */
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
