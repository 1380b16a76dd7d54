import { type Mesh, mtlsEnabled } from "./mesh.js";
import { type ResourceType, resourceType } from "./resource.js";
import type { Rule } from "./rules.js";

/** What the rules of a policy are about, and so how their selectors choose it. */
export type PolicyLevel =
  /** A dataplane as a whole: `destinations` select it by the tags of one of its inbounds. */
  | "dataplane"
  /**
   * The connections that an inbound takes: `destinations` select it by its tags. Of `sources` only the service counts,
   * which is all that a certificate proves.
   */
  | "inbound"
  /** The connections from a dataplane, by the tags of one of its inbounds, to a service. */
  | "outbound"
  /** The same, for each of the services that a TrafficRoute sends these connections to. */
  | "destination";

/** What the effect of a rule depends on besides its selectors. */
export interface PolicyFacts {
  readonly mesh: Mesh;
  /** Whether the dataplane allows its Envoy to write to a log file. */
  readonly mayLogTo: (file: string) => boolean;
}

/** Whether a rule that is about something takes effect there, and why not. */
export interface Outcome {
  /** The logging backend that it leads to. */
  readonly backend?: string;
  readonly applies: boolean;
  readonly reason: string;
  /** Said of the rule when it takes effect nowhere in the mesh, as the end of a sentence that begins with the policy. */
  readonly why?: string;
}

/** What makes a policy of a resource type. */
export interface PolicyTraits<
  Spec = unknown,
  Conf = unknown,
  Level extends PolicyLevel = PolicyLevel,
  Field extends string = string,
> {
  readonly level: Level;
  /** Of several that are about the same, the most specific one takes effect, or all of them do. */
  readonly combine: "one" | "all";
  /** The field that names those that are about a dataplane, in the API's answer: `trafficRoutes`. */
  readonly field: Field;
  /** The rules, in the order in which they are numbered. */
  rules(spec: Spec): readonly Rule<Conf>[];
  /** Where the user wrote a rule: `rules[1]`; undefined for one that is written flat. */
  rulePath?(spec: Spec, index: number): string | undefined;
  /** Selectors mean the values that they name: `*` is one like any other. */
  readonly literal?: boolean;
  /** Without effect in a mesh without mTLS. */
  readonly needsMtls?: boolean;
  /** Without it every rule takes effect. */
  outcome?(conf: Conf | undefined, facts: PolicyFacts): Outcome;
  /** What `explain` says of connections for which the policy of this name takes effect; nothing without it. */
  sentence?(name: string): string;
}

/** A resource type whose resources change what Envoys do. */
export interface PolicyType<
  Spec = unknown,
  Conf = unknown,
  Name extends string = string,
  Level extends PolicyLevel = PolicyLevel,
  Field extends string = string,
> extends ResourceType<Spec> {
  readonly name: Name;
  readonly policy: PolicyTraits<Spec, Conf, Level, Field>;
}

export const isPolicyType = (type: ResourceType): type is PolicyType => "policy" in type;

type Special<Spec> = Parameters<typeof resourceType<Spec>>[0];

/** As `resourceType`, for a policy. */
export function policyType<
  Spec,
  Conf,
  const Name extends string,
  const Level extends PolicyLevel,
  const Field extends string,
>({
  name,
  policy,
  ...special
}: Pick<Special<Spec>, "schema"> &
  Omit<Special<NoInfer<Spec>>, "name" | "schema"> & {
    readonly name: Name;
    readonly policy: PolicyTraits<NoInfer<Spec>, Conf, Level, Field>;
  }): PolicyType<Spec, Conf, Name, Level, Field> {
  return { ...resourceType<Spec>({ name, ...special }), name, policy };
}

/** Whether the proxies that offer what the policy is about are configured by it, or those that consume it. */
export const sideOf = ({ level }: Pick<PolicyTraits, "level">): "inbound" | "outbound" =>
  level === "dataplane" || level === "inbound" ? "inbound" : "outbound";

const applies: Outcome = { applies: true, reason: "all-apply" };
const mtlsOff: Outcome = { applies: false, reason: "mtls-off" };

/** Whether a rule of a policy that is about something takes effect there. */
export function outcomeOf<Conf>(
  policy: PolicyTraits<never, Conf>,
  conf: Conf | undefined,
  facts: PolicyFacts,
): Outcome {
  if (policy.needsMtls === true && !mtlsEnabled(facts.mesh)) return mtlsOff;
  return policy.outcome?.(conf, facts) ?? applies;
}

/** The field by which `explain` names the one that takes effect: `healthCheck`. */
export const explainedField = ({ name }: PolicyType): string => name.charAt(0).toLowerCase() + name.slice(1);
