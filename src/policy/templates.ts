import type { ProxyTemplate } from "../resources/proxy-template.js";
import { serviceTag, type Tags } from "../resources/tags.js";
import type { Stored } from "../store/store.js";
import { anyService, type Policies, policiesFor } from "../view/policies.js";
import type { Inbounds, Ranked } from "./matching.js";
import { bestMatch, compareRanks, type Match } from "./selector.js";

/** A template that is for a proxy, unless another one is more specific. */
export interface TemplateCandidate extends Ranked<ProxyTemplate> {
  /** The selector by which it is for that proxy; undefined or empty: it is for every proxy. */
  readonly selector: Match;
}

/** True when one inbound has every tag with exactly its value; unlike in other policies `*` stands for nothing. */
function selects(match: Tags, inbounds: Inbounds): boolean {
  const wanted = Object.entries(match);
  if (wanted.length === 0) return true;
  return inbounds.some(({ tags }) => wanted.every(([key, value]) => Object.hasOwn(tags, key) && tags[key] === value));
}

const everyProxy = [{}];

/**
 * The templates that are for a proxy, the one that it gets first: the one with the most tags, and of equally specific
 * ones the first by name. A proxy without any gets what we generate.
 */
export function templateCandidates(policies: Policies, inbounds: Inbounds): readonly TemplateCandidate[] {
  const known = new Map<string, Stored<ProxyTemplate>>();
  for (const service of new Set([anyService, ...inbounds.map(({ tags }) => tags[serviceTag] ?? "")])) {
    for (const policy of policiesFor(policies, "ProxyTemplate", service)) known.set(policy.name, policy);
  }
  const found: TemplateCandidate[] = [];
  for (const policy of known.values()) {
    const { selectors = [] } = policy.spec;
    const best = bestMatch(selectors.length > 0 ? selectors : everyProxy, (match = {}) => selects(match, inbounds));
    if (best !== undefined) found.push({ policy, rank: best.rank, selector: best.match });
  }
  return found.sort((a, b) => compareRanks(b.rank, a.rank) || (a.policy.name < b.policy.name ? -1 : 1));
}
