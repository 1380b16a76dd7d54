import type { Steps } from "../lib/steps.js";
import type { PolicyTraits } from "../resources/policy-type.js";
import type { Selectors } from "../resources/selector.js";
import { serviceTag, type Tags } from "../resources/tags.js";
import type { MeshView } from "../view/mesh-view.js";
import { type Match, matchesService, matchesTags } from "./selector.js";

/** A policy, or a part of one, that has no effect in the current mesh. */
export interface IdlePolicy {
  readonly type: string;
  readonly name: string;
  /** Why it has no effect: the predicate of a sentence whose subject is the policy. */
  readonly reason: string;
}

/** What policies of a mesh can match. */
interface Population {
  /** The distinct sets of tags of inbounds. */
  readonly tags: readonly Tags[];
  /** The services of inbounds and outbounds. */
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
/** For the source of a permission, only the service counts. */
const someSource: Matches = (match = {}, { services }) =>
  services.some((service) => matchesService({ [serviceTag]: match[serviceTag] ?? "" }, service));
/** For templates, `*` is an ordinary value. */
const exactly: Matches = (match = {}, { tags }) =>
  isEmpty(match) ||
  tags.some((own) => Object.entries(match).every(([key, value]) => Object.hasOwn(own, key) && own[key] === value));

/** How a policy's sources and destinations match; `source` is absent if the policy type has no sources. */
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

/** The first selector without a match in each rule; undefined when all selectors of one rule match. */
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

/** The policies that match nothing in the mesh. Empty for a mesh without dataplanes, which are yet to be created. */
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
      idle.push({ type: type.name, name, reason: `matches no dataplane: ${why}` });
    }
  }
  return idle.sort((a, b) => (`${a.type} ${a.name}` < `${b.type} ${b.name}` ? -1 : 1));
}
