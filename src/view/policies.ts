import { Map as PersistentMap } from "immutable";
import { type PolicyType, sideOf } from "../resources/policy-type.js";
import { policyTypes } from "../resources/registry.js";
import { serviceTag } from "../resources/tags.js";
import type { Stored } from "../store/store.js";

/** Matches every service. */
export const anyService = "*";

/** The policies of one type in one mesh. */
export interface PolicyTable<Spec = unknown, Conf = unknown> {
  readonly type: PolicyType<Spec, Conf>;
  readonly byName: PersistentMap<string, Stored<Spec>>;
  /** By each service that a policy's destinations name; under `anyService`, those that may match any service. */
  readonly byService: PersistentMap<string, PersistentMap<string, Stored<Spec>>>;
}

/** A table for each policy type, by type name. */
export type Policies = Readonly<Record<string, PolicyTable>>;

const emptyTable = <Spec, Conf>(type: PolicyType<Spec, Conf>): PolicyTable<Spec, Conf> => ({
  type,
  byName: PersistentMap(),
  byService: PersistentMap(),
});

/** The tables of a mesh without policies, for these types. */
export const emptyPolicies = (types: readonly PolicyType[]): Policies =>
  Object.fromEntries(types.map((type) => [type.name, emptyTable(type)]));

export const noPolicies: Policies = emptyPolicies(policyTypes);

/** The policies of a type; empty for a type that the view does not include. */
export function tableOf<Spec, Conf>(policies: Policies, type: PolicyType<Spec, Conf>): PolicyTable<Spec, Conf> {
  // A table under a type's name only has resources that this type decoded.
  return (policies[type.name] as PolicyTable<Spec, Conf> | undefined) ?? emptyTable(type);
}

/** The services that a policy may match, including `anyService` if a selector does not name a service. */
function servicesOf({ policy }: PolicyType, spec: unknown): Set<string> {
  const services = new Set<string>();
  for (const { destinations = [] } of policy.rules(spec)) {
    for (const { match = {} } of destinations) {
      services.add((Object.hasOwn(match, serviceTag) ? match[serviceTag] : anyService) ?? "");
    }
  }
  return services;
}

function without(table: PolicyTable, name: string, services: Iterable<string>): PolicyTable {
  let { byService } = table;
  for (const service of services) {
    const left = byService.get(service)?.delete(name);
    byService = left === undefined || left.isEmpty() ? byService.delete(service) : byService.set(service, left);
  }
  return { ...table, byName: table.byName.delete(name), byService };
}

function withPolicy(table: PolicyTable, stored: Stored, services: Iterable<string>): PolicyTable {
  let { byService } = table;
  for (const service of services) {
    const others = byService.get(service) ?? PersistentMap<string, Stored>();
    byService = byService.set(service, others.set(stored.name, stored));
  }
  return { ...table, byName: table.byName.set(stored.name, stored), byService };
}

export interface PolicyChange {
  readonly policies: Policies;
  /** The services that the policy matched before or matches now; `anyService` means all. */
  readonly services: ReadonlySet<string>;
  /** Whether it affects the proxies of these services, or those that have them as upstreams. */
  readonly side: ReturnType<typeof sideOf>;
}

/** Replaces a policy, or deletes it if `stored` is undefined. Returns undefined when there is nothing to delete. */
export function replacePolicy(
  policies: Policies,
  table: PolicyTable,
  name: string,
  stored: Stored | undefined,
): PolicyChange | undefined {
  const { type } = table;
  const before = table.byName.get(name);
  if (before === undefined && stored === undefined) return undefined;
  const left = before === undefined ? new Set<string>() : servicesOf(type, before.spec);
  const joined = stored === undefined ? new Set<string>() : servicesOf(type, stored.spec);
  let next = before === undefined ? table : without(table, name, left);
  if (stored !== undefined) next = withPolicy(next, stored, joined);
  return {
    policies: { ...policies, [type.name]: next },
    services: new Set([...left, ...joined]),
    side: sideOf(type.policy),
  };
}

type ByName = PersistentMap<string, Stored>;

const nothing: ByName = PersistentMap();

/** Lists by the two maps that they are merged from. A change keeps the maps of other services, and so their lists. */
const lists = new WeakMap<ByName, WeakMap<ByName, readonly Stored[]>>();

function listOf(named: ByName, open: ByName): readonly Stored[] {
  let ofNamed = lists.get(named);
  if (ofNamed === undefined) {
    ofNamed = new WeakMap();
    lists.set(named, ofNamed);
  }
  let list = ofNamed.get(open);
  if (list === undefined) {
    list = [...named.merge(open).values()].sort((a, b) => (a.name < b.name ? -1 : 1));
    ofNamed.set(open, list);
  }
  return list;
}

/** The policies that may match a service, sorted by name. Whether one does depends on its selectors. */
export function policiesFor<Spec>({ byService }: PolicyTable<Spec>, service: string): readonly Stored<Spec>[] {
  const all: PolicyTable["byService"] = byService;
  const open = service === anyService ? nothing : (all.get(anyService) ?? nothing);
  return listOf(all.get(service) ?? nothing, open) as readonly Stored<Spec>[];
}
