import type { Steps } from "../lib/steps.js";
import { rulesOf } from "../resources/rules.js";
import type { Selectors } from "../resources/selector.js";
import { serviceTag, type Tags } from "../resources/tags.js";
import type { MeshView } from "../view/mesh-view.js";
import type { PolicyType } from "../view/policies.js";
import { type Match, matchesService, matchesTags } from "./selector.js";

/** A policy, or a part of one, that changes nothing in the mesh as it is. */
export interface IdlePolicy {
  readonly type: PolicyType;
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

interface Part {
  readonly selectors: Selectors | undefined;
  readonly matches: Matches;
}

/** What a policy is about: each rule's parts, of which all have to match something. */
type Rules = readonly (readonly Part[])[];

const ends = (
  { sources, destinations }: { readonly sources?: Selectors; readonly destinations?: Selectors },
  source: Matches,
  destination: Matches,
): readonly Part[] => [
  { selectors: sources, matches: source },
  { selectors: destinations, matches: destination },
];

function tagsText(match: Match): string {
  const tags = Object.entries(match ?? {});
  return tags.map(([key, value]) => `${key}=${value}`).join(", ");
}

/** The first selector without a match in each rule; undefined when one rule has all that it needs. */
function unmatched(rules: Rules, population: Population): readonly Match[] | undefined {
  const missing: Match[] = [];
  for (const parts of rules) {
    const part = parts.find(
      ({ selectors = [], matches }) => !selectors.some(({ match }) => matches(match, population)),
    );
    if (part === undefined) return undefined;
    missing.push(part.selectors?.[0]?.match);
  }
  return missing;
}

/** The policies that are about nothing that the mesh has; none of a mesh without dataplanes, which has yet to get them. */
export function* idlePolicies(mesh: MeshView): Steps<IdlePolicy[]> {
  const { policies } = mesh;
  if (mesh.proxies.isEmpty()) return [];
  const population = yield* populationOf(mesh);
  const idle: IdlePolicy[] = [];

  function* look<Spec>(
    type: PolicyType,
    table: Iterable<{ readonly name: string; readonly spec: Spec }>,
    rules: (spec: Spec) => Rules,
  ): Steps<void> {
    for (const { name, spec } of table) {
      yield;
      const missing = unmatched(rules(spec), population);
      if (missing === undefined) continue;
      const tags = [...new Set(missing.map(tagsText))].filter((text) => text !== "").slice(0, 3);
      const why = tags.length === 0 ? "it selects nothing" : `no dataplane has ${tags.join(" or ")}`;
      idle.push({ type, name, reason: `concerns no dataplane: ${why}` });
    }
  }

  yield* look("TrafficPermission", policies.TrafficPermission.byName.values(), (spec) =>
    rulesOf<unknown>(spec).map((rule) => ends(rule, someSource, someInbound)),
  );
  yield* look("TrafficLog", policies.TrafficLog.byName.values(), (spec) =>
    rulesOf<unknown>(spec).map((rule) => ends(rule, someInbound, someService)),
  );
  yield* look("TrafficRoute", policies.TrafficRoute.byName.values(), (spec) => [ends(spec, someInbound, someService)]);
  yield* look("HealthCheck", policies.HealthCheck.byName.values(), (spec) => [ends(spec, someInbound, someService)]);
  yield* look("ProxyTemplate", policies.ProxyTemplate.byName.values(), ({ selectors = [] }) => [
    [{ selectors: selectors.length > 0 ? selectors : [{}], matches: exactly }],
  ]);
  return idle.sort((a, b) => (`${a.type} ${a.name}` < `${b.type} ${b.name}` ? -1 : 1));
}
