import { serviceTag, type Tags } from "../resources/tags.js";
import type { Stored } from "../store/store.js";
import { anyService, type PolicyTable, policiesFor } from "../view/policies.js";
import type { RuleMatch } from "./matching.js";
import { type Match, matchesTags } from "./selector.js";

/** The clients that may connect to an inbound. */
export type Permitted =
  /** Every proxy of the mesh. */
  | { readonly kind: "anyone" }
  /** Proxies of these services: sorted, without duplicates. Empty: no proxy. */
  | { readonly kind: "services"; readonly services: readonly string[] };

/** A rule that matches connections from a service to an inbound. A TrafficPermission's rule allows them. */
export interface Grant<Spec = unknown, Conf = unknown> extends RuleMatch<Spec, Conf> {
  /** The source service; `anyService` for every proxy of the mesh. */
  readonly service: string;
  readonly source: Tags;
}

type Visit<Spec, Conf> = (
  service: string,
  policy: Stored<Spec>,
  index: number,
  conf: Conf | undefined,
  source: Tags,
  destination: Match,
) => void;

/**
 * Visits the rules of all policies of a type with a destination that matches one of these sets of tags. Of a source,
 * only the `service` tag counts, because a certificate proves nothing else; a source without it matches no proxy.
 */
function visitGrants<Spec, Conf>(
  table: PolicyTable<Spec, Conf>,
  inbounds: readonly Tags[],
  visit: Visit<Spec, Conf>,
): void {
  const traits = table.type.policy;
  for (const tags of inbounds) {
    for (const policy of policiesFor(table, tags[serviceTag] ?? "")) {
      for (const [index, { sources = [], destinations = [], conf }] of traits.rules(policy.spec).entries()) {
        const destination = destinations.find(({ match }) => matchesTags(match, tags));
        if (destination === undefined) continue;
        for (const { match = {} } of sources) {
          const service = Object.hasOwn(match, serviceTag) ? match[serviceTag] : undefined;
          if (service !== undefined && service !== "") visit(service, policy, index, conf, match, destination.match);
        }
      }
    }
  }
}

/** The services that permissions allow to connect to an inbound with any of these sets of tags. */
export function permitted(table: PolicyTable, inbounds: readonly Tags[]): Permitted {
  const services = new Set<string>();
  visitGrants(table, inbounds, (service) => services.add(service));
  if (services.has(anyService)) return { kind: "anyone" };
  return { kind: "services", services: [...services].sort() };
}

const texts = new WeakMap<Tags, string>();

/** A selector's tags as text. Cached, because one rule may match many inbounds. */
function textOf(source: Tags): string {
  let text = texts.get(source);
  if (text === undefined) {
    text = JSON.stringify(source);
    texts.set(source, text);
  }
  return text;
}

/** Every rule that matches an inbound with any of these sets of tags, in the order of policy names and of the rules. */
export function grantsOf<Spec, Conf>(
  table: PolicyTable<Spec, Conf>,
  inbounds: readonly Tags[],
): readonly Grant<Spec, Conf>[] {
  const grants = new Map<string, Grant<Spec, Conf>>();
  visitGrants(table, inbounds, (service, policy, index, conf, source, destination) => {
    // One rule may match two services that share a listener.
    const key = `${policy.name} ${index} ${textOf(source)}`;
    if (!grants.has(key)) grants.set(key, { policy, index, conf, service, source, destination });
  });
  return [...grants.values()].sort((a, b) =>
    a.policy.name === b.policy.name ? a.index - b.index : a.policy.name < b.policy.name ? -1 : 1,
  );
}
