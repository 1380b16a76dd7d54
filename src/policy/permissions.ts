import { rulesOf } from "../resources/rules.js";
import { serviceTag, type Tags } from "../resources/tags.js";
import { anyService, type Policies, policiesFor } from "../view/policies.js";
import { matchesTags } from "./selector.js";

/** Who may connect to an inbound. */
export type Permitted =
  /** Every proxy of the mesh. */
  | { readonly kind: "anyone" }
  /** Proxies that are one of these services: sorted, each once; none at all means nobody. */
  | { readonly kind: "services"; readonly services: readonly string[] };

/**
 * The services that TrafficPermissions allow to an inbound with any of these sets of tags: the union over all rules of
 * all permissions with a destination that matches. Of a source only its `service` counts, which is all that a
 * certificate proves; a source without one allows nobody.
 */
export function permitted(policies: Policies, inbounds: readonly Tags[]): Permitted {
  const services = new Set<string>();
  for (const tags of inbounds) {
    for (const { spec } of policiesFor(policies, "TrafficPermission", tags[serviceTag] ?? "")) {
      for (const { sources = [], destinations = [] } of rulesOf(spec)) {
        if (!destinations.some(({ match }) => matchesTags(match, tags))) continue;
        for (const { match = {} } of sources) {
          const service = Object.hasOwn(match, serviceTag) ? match[serviceTag] : undefined;
          if (service !== undefined && service !== "") services.add(service);
        }
      }
    }
  }
  if (services.has(anyService)) return { kind: "anyone" };
  return { kind: "services", services: [...services].sort() };
}
