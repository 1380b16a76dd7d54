import { mtlsEnabled } from "../resources/mesh.js";
import { rulePath } from "../resources/rules.js";
import { serviceTag, type Tags } from "../resources/tags.js";
import type { MeshView, Outbound, ProxyView } from "../view/mesh-view.js";
import { listenersOf } from "../view/proxy.js";
import { backendOf, loggedFile } from "./logging.js";
import { type Candidate, candidates, logRules, type Ranked, sharesOf } from "./matching.js";
import { type Grant, grantsOf, permitted } from "./permissions.js";
import { type Standing, standings } from "./ranking.js";
import type { Match } from "./selector.js";
import { templateCandidates } from "./templates.js";

/** Why a policy that is about something applies to it, or why it does not. */
export type Reason =
  | Standing
  /** Applies, as all of its type that match do. */
  | "all-apply"
  /** A permission while mTLS is off: everything is allowed. */
  | "mtls-off"
  /** A permission for other instances of the service: it asks for tags that are not there. */
  | "other-tags"
  /** A rule for logs that names no backend of the mesh. */
  | "no-backend"
  /** A rule for logs that names a file where the dataplane's machine allows none. */
  | "log-directory";

/** A policy that is about something. */
export interface PolicyMatch {
  readonly name: string;
  /** Where the rule stands in the policy: `rules[1]`. Absent for a policy without rules, and for one that is written flat. */
  readonly rule?: string;
  /** The selectors by which it is about that, of a ProxyTemplate the one; empty tags are for everything. */
  readonly source?: Tags;
  readonly destination?: Tags;
  readonly selector?: Tags;
  readonly applies: boolean;
  readonly reason: Reason;
}

/** Of TrafficLogs; where the lines go. */
export interface LogMatch extends PolicyMatch {
  readonly backend?: string;
}

/** One listener for connections from the mesh. */
export interface InboundPolicies {
  readonly address: string;
  readonly port: number;
  /** One set for each service behind it. */
  readonly tags: readonly Tags[];
  /** The services that may connect, `*` for all. */
  readonly allowed: readonly string[];
  readonly trafficPermissions: readonly PolicyMatch[];
}

/** A part of the connections to a service, and whom it reaches. */
export interface SharePolicies {
  readonly weight: number;
  readonly destination: Tags;
  readonly healthChecks: readonly PolicyMatch[];
}

/** One listener for connections to a service. */
export interface OutboundPolicies {
  readonly address: string;
  readonly port: number;
  readonly service: string;
  readonly trafficRoutes: readonly PolicyMatch[];
  /** None at all: connections are closed at once. */
  readonly shares: readonly SharePolicies[];
  readonly trafficLogs: readonly LogMatch[];
}

/** Every policy that is about a dataplane, and why it applies. Policies are named in the order in which they would apply. */
export interface DataplanePolicies {
  readonly mesh: string;
  readonly dataplane: string;
  readonly mtls: boolean;
  readonly proxyTemplates: readonly PolicyMatch[];
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

const pair = ({ source = everything, destination = everything }: { source: Match; destination: Match }) => ({
  source,
  destination,
});

/** Which rule of a policy, when it is one of several. */
export function ruleOf(spec: Parameters<typeof rulePath>[0], index: number): Pick<PolicyMatch, "rule"> {
  const path = rulePath(spec, index);
  return path === undefined ? {} : { rule: path };
}

/** How a policy of which one applies stands for the connections of a proxy to a service, the one that applies first. */
export const contestOf = (all: readonly Candidate<unknown>[]): PolicyMatch[] => contest(all, pair);

/** How a permission that lets somebody in is shown. */
export function grantMatch(grant: Grant, mtls: boolean): PolicyMatch {
  const { policy, index } = grant;
  const how = mtls
    ? ({ applies: true, reason: "all-apply" } as const)
    : ({ applies: false, reason: "mtls-off" } as const);
  return { name: policy.name, ...ruleOf(policy.spec, index), ...pair(grant), ...how };
}

function inboundPolicies({ policies }: MeshView, mtls: boolean, inbounds: ProxyView["inbounds"]): InboundPolicies[] {
  return [...listenersOf(inbounds)].map((members) => {
    const [{ address, port }] = members;
    const tags = members.map((member) => member.tags);
    const allowed = permitted(policies, tags);
    return {
      address,
      port,
      tags,
      allowed: mtls && allowed.kind === "services" ? allowed.services : ["*"],
      trafficPermissions: grantsOf(policies, tags).map((grant) => grantMatch(grant, mtls)),
    };
  });
}

function logsOf(
  { policies, resource: mesh }: MeshView,
  { inbounds }: ProxyView,
  service: string,
  mayLogTo: (file: string) => boolean,
): LogMatch[] {
  return logRules(policies, inbounds, service).map((logRule) => {
    const { policy, index } = logRule;
    const found = backendOf(logRule, mesh?.spec ?? {});
    const backend = found?.name;
    const file = found === undefined ? undefined : loggedFile(found);
    const how =
      backend === undefined
        ? ({ applies: false, reason: "no-backend" } as const)
        : file === undefined || mayLogTo(file)
          ? ({ backend, applies: true, reason: "all-apply" } as const)
          : ({ backend, applies: false, reason: "log-directory" } as const);
    return { name: policy.name, ...ruleOf(policy.spec, index), ...pair(logRule), ...how };
  });
}

function outboundPolicies(
  mesh: MeshView,
  proxy: ProxyView,
  { address, port, service }: Outbound,
  mayLogTo: (file: string) => boolean,
): OutboundPolicies {
  const { policies } = mesh;
  const { inbounds } = proxy;
  return {
    address,
    port,
    service,
    trafficRoutes: contestOf(candidates(policies, "TrafficRoute", inbounds, service)),
    shares: sharesOf(policies, inbounds, service).map(({ weight, destination }) => ({
      weight,
      destination,
      healthChecks: contestOf(candidates(policies, "HealthCheck", inbounds, destination[serviceTag] ?? "")),
    })),
    trafficLogs: logsOf(mesh, proxy, service, mayLogTo),
  };
}

/**
 * Every policy of the mesh that is about the proxy.
 * @param mayLogTo whether the proxy allows a log file; without it every one counts as allowed
 */
export function dataplanePolicies(
  mesh: MeshView,
  proxy: ProxyView,
  mayLogTo: (file: string) => boolean = () => true,
): DataplanePolicies {
  const mtls = mtlsEnabled(mesh.resource?.spec);
  return {
    mesh: mesh.name,
    dataplane: proxy.name,
    mtls,
    proxyTemplates: contest(templateCandidates(mesh.policies, proxy.inbounds), ({ selector = everything }) => ({
      selector,
    })),
    inbounds: inboundPolicies(mesh, mtls, proxy.inbounds),
    outbounds: proxy.outbounds.map((outbound) => outboundPolicies(mesh, proxy, outbound, mayLogTo)),
  };
}
