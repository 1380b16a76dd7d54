import { mtlsEnabled } from "../resources/mesh.js";
import { outcomeOf, type PolicyFacts, type PolicyLevel, type PolicyTraits } from "../resources/policy-type.js";
import type { policyTypes } from "../resources/registry.js";
import { serviceTag, type Tags } from "../resources/tags.js";
import { trafficPermissionType } from "../resources/traffic-permission.js";
import type { MeshView, Outbound, ProxyView } from "../view/mesh-view.js";
import { type Policies, type PolicyTable, tableOf } from "../view/policies.js";
import { listenersOf } from "../view/proxy.js";
import { dataplaneCandidates } from "./dataplane-candidates.js";
import { type Candidate, candidates, type Inbounds, type Ranked, type RuleMatch, sharesOf } from "./matching.js";
import { type Grant, grantsOf, permitted } from "./permissions.js";
import { standings } from "./ranking.js";
import { addRanks, compareRanks, rankOf } from "./selector.js";

/** A policy that matches something. */
export interface PolicyMatch {
  readonly name: string;
  /** The path of the rule in the policy: `rules[1]`. Absent for a policy without rules, or in the flat form. */
  readonly rule?: string;
  /** The selectors that match; only `selector` for a policy on dataplanes. Empty tags match everything. */
  readonly source?: Tags;
  readonly destination?: Tags;
  readonly selector?: Tags;
  /** The logging backend, for TrafficLogs. */
  readonly backend?: string;
  readonly applies: boolean;
  /**
   * Why it applies or does not apply: its standing where only one policy applies, or `all-apply`; `mtls-off` for a
   * policy that needs mTLS while mTLS is off; `other-tags` for a permission for other instances of the service;
   * `no-backend` and `log-directory` for a log without a usable backend.
   */
  readonly reason: string;
}

/** The matches of each policy type of this level, by the type's field name. */
type Rows<Level extends PolicyLevel> = {
  readonly [Type in (typeof policyTypes)[number] as Type["policy"]["level"] extends Level
    ? Type["policy"]["field"]
    : never]: readonly PolicyMatch[];
};

/** One listener for connections from the mesh. */
export interface InboundPolicies extends Rows<"inbound"> {
  readonly address: string;
  readonly port: number;
  /** One set per inbound that shares the listener. */
  readonly tags: readonly Tags[];
  /** The services that may connect, `*` for all. */
  readonly allowed: readonly string[];
}

/** A share of the connections to a service, and its destination. */
export interface SharePolicies extends Rows<"destination"> {
  readonly weight: number;
  readonly destination: Tags;
}

/** One listener for connections to a service. */
export interface OutboundPolicies extends Rows<"outbound"> {
  readonly address: string;
  readonly port: number;
  readonly service: string;
  /** Empty: connections are closed immediately. */
  readonly shares: readonly SharePolicies[];
}

/** Every policy that matches a dataplane, and why it applies or not, in order of precedence. */
export interface DataplanePolicies extends Rows<"dataplane"> {
  readonly mesh: string;
  readonly dataplane: string;
  readonly mtls: boolean;
  readonly inbounds: readonly InboundPolicies[];
  readonly outbounds: readonly OutboundPolicies[];
}

const everything: Tags = {};

/** The candidates, of which the first applies, with the reason for each. */
function contest<C extends Ranked<unknown>>(
  all: readonly C[],
  about: (candidate: C) => Pick<PolicyMatch, "source" | "destination" | "selector">,
): PolicyMatch[] {
  const reasons = standings(all);
  return all.map((candidate, index) => ({
    name: candidate.policy.name,
    ...about(candidate),
    applies: index === 0,
    reason: reasons[index] ?? "only",
  }));
}

const pair = ({ source = everything, destination = everything }: Pick<RuleMatch, "source" | "destination">) => ({
  source,
  destination,
});

/** The rule of a policy, if the policy has rules. */
export function ruleOf({ type }: PolicyTable, { policy, index }: Pick<RuleMatch, "policy" | "index">) {
  const path = type.policy.rulePath?.(policy.spec, index);
  return path === undefined ? {} : { rule: path };
}

/** The matches of a policy type of which only one applies; that one comes first. */
export const contestOf = (all: readonly Candidate[]): PolicyMatch[] => contest(all, pair);

/** The match of a rule that applies regardless of others. */
export function ruleMatch(table: PolicyTable, match: RuleMatch, facts: PolicyFacts): PolicyMatch {
  const { why: _ofTheMesh, ...outcome } = outcomeOf(table.type.policy, match.conf, facts);
  return { name: match.policy.name, ...ruleOf(table, match), ...pair(match), ...outcome };
}

const ranked = (grant: Grant): Candidate => ({
  ...grant,
  rank: addRanks(rankOf(grant.source), rankOf(grant.destination)),
});

function standing(table: PolicyTable, all: readonly RuleMatch[], facts: PolicyFacts, one: () => readonly Candidate[]) {
  return table.type.policy.combine === "one" ? contestOf(one()) : all.map((match) => ruleMatch(table, match, facts));
}

/** Every rule of a type that matches an inbound with these sets of tags, and whether it applies. */
export function inboundRows(table: PolicyTable, tags: readonly Tags[], facts: PolicyFacts): PolicyMatch[] {
  const grants = grantsOf(table, tags);
  return standing(table, grants, facts, () => grants.map(ranked).sort((a, b) => compareRanks(b.rank, a.rank)));
}

/** Every rule of a type that matches a proxy's connections to a service, and whether it applies. */
export function outboundRows(table: PolicyTable, inbounds: Inbounds, service: string, facts: PolicyFacts) {
  const all = candidates(table, inbounds, service);
  return standing(table, all, facts, () => all);
}

/** The rows of every policy type of a level. */
function rows<Level extends PolicyLevel>(
  policies: Policies,
  level: Level,
  rowsOf: (table: PolicyTable) => readonly PolicyMatch[],
  combine?: PolicyTraits["combine"],
): Rows<Level> {
  const tables = Object.values(policies).filter(({ type: { policy } }) => policy.level === level);
  const some = combine === undefined ? tables : tables.filter(({ type: { policy } }) => policy.combine === combine);
  const fields = some.map((table) => [table.type.policy.field, rowsOf(table)] as const);
  // `Rows` has the fields of exactly these types.
  return Object.fromEntries(fields) as unknown as Rows<Level>;
}

/**
 * Every policy of the mesh that matches the proxy.
 * @param mayLogTo whether the proxy allows a log file. Default: all are allowed
 */
export function dataplanePolicies(
  mesh: MeshView,
  { name, inbounds, outbounds }: ProxyView,
  mayLogTo: (file: string) => boolean = () => true,
): DataplanePolicies {
  const { policies } = mesh;
  const facts: PolicyFacts = { mesh: mesh.resource?.spec ?? {}, mayLogTo };
  const mtls = mtlsEnabled(facts.mesh);

  function inboundPolicies(
    members: readonly [ProxyView["inbounds"][number], ...ProxyView["inbounds"]],
  ): InboundPolicies {
    const [{ address, port }] = members;
    const tags = members.map((member) => member.tags);
    const allowed = permitted(tableOf(policies, trafficPermissionType), tags);
    return {
      address,
      port,
      tags,
      allowed: mtls && allowed.kind === "services" ? allowed.services : ["*"],
      ...rows(policies, "inbound", (table) => inboundRows(table, tags, facts)),
    };
  }

  function outboundPolicies({ address, port, service }: Outbound): OutboundPolicies {
    const about = (target: string) => (table: PolicyTable) => outboundRows(table, inbounds, target, facts);
    return {
      address,
      port,
      service,
      ...rows(policies, "outbound", about(service), "one"),
      shares: sharesOf(policies, inbounds, service).map(({ weight, destination }) => ({
        weight,
        destination,
        ...rows(policies, "destination", about(destination[serviceTag] ?? "")),
      })),
      ...rows(policies, "outbound", about(service), "all"),
    };
  }

  return {
    mesh: mesh.name,
    dataplane: name,
    mtls,
    ...rows(policies, "dataplane", (table) =>
      contest(dataplaneCandidates(table, inbounds), ({ selector = everything }) => ({ selector })),
    ),
    inbounds: [...listenersOf(inbounds)].map(inboundPolicies),
    outbounds: outbounds.map(outboundPolicies),
  };
}
