import { Map as PersistentMap } from "immutable";
import { type PolicyType, sideOf } from "../resources/policy-type.js";
import { policyTypes } from "../resources/registry.js";
import { serviceTag } from "../resources/tags.js";
import type { Stored } from "../store/store.js";

/** Stands for every service. */
export const anyService = "*";

/** The policies of one type in one mesh. */
export interface PolicyTable<Spec = unknown, Conf = unknown> {
  readonly type: PolicyType<Spec, Conf>;
  readonly byName: PersistentMap<string, Stored<Spec>>;
  /** By each service that a policy names as its target, and under `anyService` those that may concern all. */
  readonly byService: PersistentMap<string, PersistentMap<string, Stored<Spec>>>;
}

/** A table for every type of policy, by the name of the type. */
export type Policies = Readonly<Record<string, PolicyTable>>;

const emptyTable = <Spec, Conf>(type: PolicyType<Spec, Conf>): PolicyTable<Spec, Conf> => ({
  type,
  byName: PersistentMap(),
  byService: PersistentMap(),
});

/** The tables of a mesh without policies, for all types that are to be looked at. */
export const emptyPolicies = (types: readonly PolicyType[]): Policies =>
  Object.fromEntries(types.map((type) => [type.name, emptyTable(type)]));

export const noPolicies: Policies = emptyPolicies(policyTypes);

/** The policies of a type; none of a type that the view does not look at. */
export function tableOf<Spec, Conf>(policies: Policies, type: PolicyType<Spec, Conf>): PolicyTable<Spec, Conf> {
  // The view keeps resources by the type that read them.
  return (policies[type.name] as PolicyTable<Spec, Conf> | undefined) ?? emptyTable(type);
}

/** The services a policy may concern; `anyService` among them when a selector leaves the service open. */
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
  /** The services that the policy concerned before or concerns now, `anyService` for all. */
  readonly services: ReadonlySet<string>;
  /** Whether their own proxies are concerned, or the proxies that consume them. */
  readonly side: ReturnType<typeof sideOf>;
}

/** Puts a policy in place of the one of its name, or takes that one out; undefined when there was nothing to do. */
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

/** Lists by the two tables that they are made of: a change leaves those of other services, and so their lists, alone. */
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

/** The policies of a table that may concern a service, in the order of their names: whether one does, its selectors say. */
export function policiesFor<Spec>({ byService }: PolicyTable<Spec>, service: string): readonly Stored<Spec>[] {
  const all: PolicyTable["byService"] = byService;
  const open = service === anyService ? nothing : (all.get(anyService) ?? nothing);
  return listOf(all.get(service) ?? nothing, open) as readonly Stored<Spec>[];
}
