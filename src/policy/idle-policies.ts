import type { Steps } from "../lib/steps.js";
import type { PolicyTraits } from "../resources/policy-type.js";
import type { Selectors } from "../resources/selector.js";
import { serviceTag, type Tags } from "../resources/tags.js";
import type { MeshView } from "../view/mesh-view.js";
import { type Match, matchesService, matchesTags } from "./selector.js";

/** A policy, or a part of one, that changes nothing in the mesh as it is. */
export interface IdlePolicy {
  readonly type: string;
  readonly name: string;
  /** Why it has no effect, as the end of a sentence that begins with the policy. */
  readonly reason: string;
}

/** What there is for policies to be about. */
interface Population {
  /** Every set of tags that an inbound has, each once. */
  readonly tags: readonly Tags[];
  /** Services that are offered, and those that outbounds lead to. */
  readonly services: readonly string[];
}

function* populationOf({ proxies }: MeshView): Steps<Population> {
  const tags = new Map<string, Tags>();
  const services = new Set<string>();
  for (const { inbounds, outbounds } of proxies.values()) {
    yield;
    for (const inbound of inbounds) {
      tags.set(JSON.stringify(Object.entries(inbound.tags).sort()), inbound.tags);
      services.add(inbound.service);
    }
    for (const { service } of outbounds) services.add(service);
  }
  return { tags: [...tags.values()], services: [...services] };
}

type Matches = (match: Match, population: Population) => boolean;

const isEmpty = (match: Match) => match === undefined || Object.keys(match).length === 0;

const someInbound: Matches = (match, { tags }) => isEmpty(match) || tags.some((own) => matchesTags(match, own));
const someService: Matches = (match, { services }) => services.some((service) => matchesService(match, service));
/** Of whom a permission lets in only the service counts. */
const someSource: Matches = (match = {}, { services }) =>
  services.some((service) => matchesService({ [serviceTag]: match[serviceTag] ?? "" }, service));
/** For templates `*` is a value like any other. */
const exactly: Matches = (match = {}, { tags }) =>
  isEmpty(match) ||
  tags.some((own) => Object.entries(match).every(([key, value]) => Object.hasOwn(own, key) && own[key] === value));

/** Of whom and of what a policy's rules are; without sources they are of nobody in particular. */
function endsOf({ level, literal }: PolicyTraits): { readonly source?: Matches; readonly destination: Matches } {
  switch (level) {
    case "dataplane":
      return { destination: literal === true ? exactly : someInbound };
    case "inbound":
      return { source: someSource, destination: someInbound };
    case "outbound":
    case "destination":
      return { source: someInbound, destination: someService };
  }
}

function tagsText(match: Match): string {
  const tags = Object.entries(match ?? {});
  return tags.map(([key, value]) => `${key}=${value}`).join(", ");
}

/** The first selector without a match in each rule; undefined when one rule has all that it needs. */
function unmatched(policy: PolicyTraits, spec: unknown, population: Population): readonly Match[] | undefined {
  const { source, destination } = endsOf(policy);
  const missing: Match[] = [];
  const lacks = (selectors: Selectors, matches: Matches) => !selectors.some(({ match }) => matches(match, population));
  for (const { sources = [], destinations = [] } of policy.rules(spec)) {
    if (source !== undefined && lacks(sources, source)) missing.push(sources[0]?.match);
    else if (lacks(destinations, destination)) missing.push(destinations[0]?.match);
    else return undefined;
  }
  return missing;
}

/** The policies that are about nothing that the mesh has; none of a mesh without dataplanes, which has yet to get them. */
export function* idlePolicies(mesh: MeshView): Steps<IdlePolicy[]> {
  const { policies } = mesh;
  if (mesh.proxies.isEmpty()) return [];
  const population = yield* populationOf(mesh);
  const idle: IdlePolicy[] = [];

  for (const { type, byName } of Object.values(policies)) {
    for (const { name, spec } of byName.values()) {
      yield;
      const missing = unmatched(type.policy, spec, population);
      if (missing === undefined) continue;
      const tags = [...new Set(missing.map(tagsText))].filter((text) => text !== "").slice(0, 3);
      const why = tags.length === 0 ? "it selects nothing" : `no dataplane has ${tags.join(" or ")}`;
      idle.push({ type: type.name, name, reason: `concerns no dataplane: ${why}` });
    }
  }
  return idle.sort((a, b) => (`${a.type} ${a.name}` < `${b.type} ${b.name}` ? -1 : 1));
}
