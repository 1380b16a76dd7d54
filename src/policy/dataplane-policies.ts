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

/** A policy that is about something. */
export interface PolicyMatch {
  readonly name: string;
  /** Where the rule stands in the policy: `rules[1]`. Absent for a policy without rules, and for one that is written flat. */
  readonly rule?: string;
  /** The selectors by which it is about that, of a policy for dataplanes the one; empty tags are for everything. */
  readonly source?: Tags;
  readonly destination?: Tags;
  readonly selector?: Tags;
  /** Of TrafficLogs; where the lines go. */
  readonly backend?: string;
  readonly applies: boolean;
  /**
   * Why it applies, or why it does not: its standing among those of which one does, or `all-apply`; `mtls-off` for what
   * needs mTLS while everything is allowed; `other-tags` for a permission for other instances of the service;
   * `no-backend` and `log-directory` for a log that has nowhere to go.
   */
  readonly reason: string;
}

/** Those of each type that is about things of this level, by the field that the type has for them. */
type Rows<Level extends PolicyLevel> = {
  readonly [Type in (typeof policyTypes)[number] as Type["policy"]["level"] extends Level
    ? Type["policy"]["field"]
    : never]: readonly PolicyMatch[];
};

/** One listener for connections from the mesh. */
export interface InboundPolicies extends Rows<"inbound"> {
  readonly address: string;
  readonly port: number;
  /** One set for each service behind it. */
  readonly tags: readonly Tags[];
  /** The services that may connect, `*` for all. */
  readonly allowed: readonly string[];
}

/** A part of the connections to a service, and whom it reaches. */
export interface SharePolicies extends Rows<"destination"> {
  readonly weight: number;
  readonly destination: Tags;
}

/** One listener for connections to a service. */
export interface OutboundPolicies extends Rows<"outbound"> {
  readonly address: string;
  readonly port: number;
  readonly service: string;
  /** None at all: connections are closed at once. */
  readonly shares: readonly SharePolicies[];
}

/** Every policy that is about a dataplane, and why it applies. Policies are named in the order in which they would apply. */
export interface DataplanePolicies extends Rows<"dataplane"> {
  readonly mesh: string;
  readonly dataplane: string;
  readonly mtls: boolean;
  readonly inbounds: readonly InboundPolicies[];
  readonly outbounds: readonly OutboundPolicies[];
}

const everything: Tags = {};

/** The one of several candidates that applies, and why the others don't. */
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

/** Which rule of a policy, when it is one of several. */
export function ruleOf({ type }: PolicyTable, { policy, index }: Pick<RuleMatch, "policy" | "index">) {
  const path = type.policy.rulePath?.(policy.spec, index);
  return path === undefined ? {} : { rule: path };
}

/** How a policy of which one applies stands for the connections of a proxy to a service, the one that applies first. */
export const contestOf = (all: readonly Candidate[]): PolicyMatch[] => contest(all, pair);

/** How a rule stands that applies whatever else does. */
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

/** Every rule of a type that is about an inbound with these sets of tags, and how it stands. */
export function inboundRows(table: PolicyTable, tags: readonly Tags[], facts: PolicyFacts): PolicyMatch[] {
  const grants = grantsOf(table, tags);
  return standing(table, grants, facts, () => grants.map(ranked).sort((a, b) => compareRanks(b.rank, a.rank)));
}

/** Every rule of a type that is about a proxy's connections to a service, and how it stands. */
export function outboundRows(table: PolicyTable, inbounds: Inbounds, service: string, facts: PolicyFacts) {
  const all = candidates(table, inbounds, service);
  return standing(table, all, facts, () => all);
}

/** The rows of every type of policy of a level. */
function rows<Level extends PolicyLevel>(
  policies: Policies,
  level: Level,
  rowsOf: (table: PolicyTable) => readonly PolicyMatch[],
  combine?: PolicyTraits["combine"],
): Rows<Level> {
  const tables = Object.values(policies).filter(({ type: { policy } }) => policy.level === level);
  const some = combine === undefined ? tables : tables.filter(({ type: { policy } }) => policy.combine === combine);
  const fields = some.map((table) => [table.type.policy.field, rowsOf(table)] as const);
  // These are the types whose fields `Rows` has.
  return Object.fromEntries(fields) as unknown as Rows<Level>;
}

/**
 * Every policy of the mesh that is about the proxy.
 * @param mayLogTo whether the proxy allows a log file; without it every one counts as allowed
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
