import { Map as PersistentMap } from "immutable";
import type { HealthCheck } from "../resources/health-check.js";
import type { ProxyTemplate } from "../resources/proxy-template.js";
import { rulesOf } from "../resources/rules.js";
import type { Selectors } from "../resources/selector.js";
import { serviceTag } from "../resources/tags.js";
import type { TrafficLog } from "../resources/traffic-log.js";
import type { TrafficPermission } from "../resources/traffic-permission.js";
import type { TrafficRoute } from "../resources/traffic-route.js";
import type { Stored } from "../store/store.js";

/** The policies of each type, by the name of the type. */
export interface PolicySpecs {
  readonly TrafficPermission: TrafficPermission;
  readonly TrafficLog: TrafficLog;
  readonly TrafficRoute: TrafficRoute;
  readonly HealthCheck: HealthCheck;
  readonly ProxyTemplate: ProxyTemplate;
}

export type PolicyType = keyof PolicySpecs;

/** Stands for every service. */
export const anyService = "*";

/** The policies of one type in one mesh. */
export interface PolicyTable<Spec = unknown> {
  readonly byName: PersistentMap<string, Stored<Spec>>;
  /** By each service that a policy names as its target, and under `anyService` those that may concern all. */
  readonly byService: PersistentMap<string, PersistentMap<string, Stored<Spec>>>;
}

export type Policies = { readonly [Type in PolicyType]: PolicyTable<PolicySpecs[Type]> };

interface Reach<Spec> {
  /** The selectors that choose what the policy is about. */
  targets(spec: Spec): Selectors;
  /** Whether the target's own proxies are told (`offering`), or the proxies that consume it. */
  readonly told: "offering" | "consuming";
}

const ruleTargets = (spec: TrafficPermission | TrafficLog): Selectors =>
  rulesOf<unknown>(spec).flatMap(({ destinations = [] }) => destinations);

const reaches: { readonly [Type in PolicyType]: Reach<PolicySpecs[Type]> } = {
  TrafficPermission: { targets: ruleTargets, told: "offering" },
  TrafficLog: { targets: ruleTargets, told: "consuming" },
  TrafficRoute: { targets: ({ destinations = [] }) => destinations, told: "consuming" },
  HealthCheck: { targets: ({ destinations = [] }) => destinations, told: "consuming" },
  // A template without selectors is for every proxy.
  ProxyTemplate: { targets: ({ selectors = [] }) => (selectors.length > 0 ? selectors : [{}]), told: "offering" },
};

export const isPolicyType = (type: string): type is PolicyType => Object.hasOwn(reaches, type);

const emptyTable: PolicyTable<never> = { byName: PersistentMap(), byService: PersistentMap() };

export const noPolicies: Policies = {
  TrafficPermission: emptyTable,
  TrafficLog: emptyTable,
  TrafficRoute: emptyTable,
  HealthCheck: emptyTable,
  ProxyTemplate: emptyTable,
};

/** The services a policy may concern; `anyService` among them when a selector leaves the service open. */
function servicesOf(type: PolicyType, spec: unknown): Set<string> {
  const { targets } = reaches[type] as Reach<unknown>;
  return new Set(
    targets(spec).map(({ match = {} }) => (Object.hasOwn(match, serviceTag) ? match[serviceTag] : anyService) ?? ""),
  );
}

function without(table: PolicyTable, name: string, services: Iterable<string>): PolicyTable {
  let { byService } = table;
  for (const service of services) {
    const left = byService.get(service)?.delete(name);
    byService = left === undefined || left.isEmpty() ? byService.delete(service) : byService.set(service, left);
  }
  return { byName: table.byName.delete(name), byService };
}

function withPolicy(table: PolicyTable, stored: Stored, services: Iterable<string>): PolicyTable {
  let { byService } = table;
  for (const service of services) {
    const others = byService.get(service) ?? PersistentMap<string, Stored>();
    byService = byService.set(service, others.set(stored.name, stored));
  }
  return { byName: table.byName.set(stored.name, stored), byService };
}

export interface PolicyChange {
  readonly policies: Policies;
  /** The services that the policy concerned before or concerns now, `anyService` for all. */
  readonly services: ReadonlySet<string>;
  readonly told: Reach<unknown>["told"];
}

/** Puts a policy in place of the one of its name, or takes that one out; undefined when there was nothing to do. */
export function replacePolicy(
  policies: Policies,
  type: PolicyType,
  name: string,
  stored: Stored | undefined,
): PolicyChange | undefined {
  const table: PolicyTable = policies[type];
  const before = table.byName.get(name);
  if (before === undefined && stored === undefined) return undefined;
  const left = before === undefined ? new Set<string>() : servicesOf(type, before.spec);
  const joined = stored === undefined ? new Set<string>() : servicesOf(type, stored.spec);
  let next = before === undefined ? table : without(table, name, left);
  if (stored !== undefined) next = withPolicy(next, stored, joined);
  return { policies: { ...policies, [type]: next }, services: new Set([...left, ...joined]), told: reaches[type].told };
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

/** The policies of a type that may concern a service, in the order of their names: whether one does, its selectors say. */
export function policiesFor<Type extends PolicyType>(
  policies: Policies,
  type: Type,
  service: string,
): readonly Stored<PolicySpecs[Type]>[] {
  const { byService }: PolicyTable = policies[type];
  const open = service === anyService ? nothing : (byService.get(anyService) ?? nothing);
  return listOf(byService.get(service) ?? nothing, open) as readonly Stored<PolicySpecs[Type]>[];
}
