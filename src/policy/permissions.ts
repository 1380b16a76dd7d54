import { rulesOf } from "../resources/rules.js";
import { serviceTag, type Tags } from "../resources/tags.js";
import type { TrafficPermission } from "../resources/traffic-permission.js";
import type { Stored } from "../store/store.js";
import { anyService, type Policies, policiesFor } from "../view/policies.js";
import { type Match, matchesTags } from "./selector.js";

/** Who may connect to an inbound. */
export type Permitted =
  /** Every proxy of the mesh. */
  | { readonly kind: "anyone" }
  /** Proxies that are one of these services: sorted, each once; none at all means nobody. */
  | { readonly kind: "services"; readonly services: readonly string[] };

/** A rule of a permission that lets a service connect to an inbound. */
export interface Grant {
  readonly policy: Stored<TrafficPermission>;
  /** The rule's place among the policy's rules. */
  readonly index: number;
  /** Who is let in; `anyService` for every proxy of the mesh. */
  readonly service: string;
  /** The selectors by which it is about that service and this inbound. */
  readonly source: Tags;
  readonly destination: Match;
}

type Visit = (
  service: string,
  policy: Stored<TrafficPermission>,
  index: number,
  source: Tags,
  destination: Match,
) => void;

/**
 * The rules of all permissions with a destination that matches one of these sets of tags. Of a source only its `service`
 * counts, which is all that a certificate proves; a source without one allows nobody.
 */
function visitGrants(policies: Policies, inbounds: readonly Tags[], visit: Visit): void {
  for (const tags of inbounds) {
    for (const policy of policiesFor(policies, "TrafficPermission", tags[serviceTag] ?? "")) {
      for (const [index, { sources = [], destinations = [] }] of rulesOf(policy.spec).entries()) {
        const destination = destinations.find(({ match }) => matchesTags(match, tags));
        if (destination === undefined) continue;
        for (const { match = {} } of sources) {
          const service = Object.hasOwn(match, serviceTag) ? match[serviceTag] : undefined;
          if (service !== undefined && service !== "") visit(service, policy, index, match, destination.match);
        }
      }
    }
  }
}

/** The services that TrafficPermissions allow to an inbound with any of these sets of tags. */
export function permitted(policies: Policies, inbounds: readonly Tags[]): Permitted {
  const services = new Set<string>();
  visitGrants(policies, inbounds, (service) => services.add(service));
  if (services.has(anyService)) return { kind: "anyone" };
  return { kind: "services", services: [...services].sort() };
}

const texts = new WeakMap<Tags, string>();

/** A selector's tags as text, made once: many inbounds are let in by one rule. */
function textOf(source: Tags): string {
  let text = texts.get(source);
  if (text === undefined) {
    text = JSON.stringify(source);
    texts.set(source, text);
  }
  return text;
}

/** Why those that `permitted` names are let in: every rule that does, in the order of the policies' names and of the rules. */
export function grantsOf(policies: Policies, inbounds: readonly Tags[]): readonly Grant[] {
  const grants = new Map<string, Grant>();
  visitGrants(policies, inbounds, (service, policy, index, source, destination) => {
    // Two services that share a listener may be let in by one rule.
    const key = `${policy.name} ${index} ${textOf(source)}`;
    if (!grants.has(key)) grants.set(key, { policy, index, service, source, destination });
  });
  return [...grants.values()].sort((a, b) =>
    a.policy.name === b.policy.name ? a.index - b.index : a.policy.name < b.policy.name ? -1 : 1,
  );
}
