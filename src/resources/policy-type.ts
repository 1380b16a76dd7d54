import { type Mesh, mtlsEnabled } from "./mesh.js";
import { type ResourceType, resourceType } from "./resource.js";
import type { Rule } from "./rules.js";

/** What the rules of a policy apply to, which determines how their selectors match. */
export type PolicyLevel =
  /** A dataplane as a whole: `destinations` select it by the tags of one of its inbounds. */
  | "dataplane"
  /**
   * The connections that an inbound accepts: `destinations` select it by its tags. Of `sources` only the service
   * counts, because a certificate proves nothing else.
   */
  | "inbound"
  /** The connections from a dataplane, by the tags of one of its inbounds, to a service. */
  | "outbound"
  /** The same, for each of the services that a TrafficRoute sends these connections to. */
  | "destination";

/** Facts besides the selectors that a rule's effect depends on. */
export interface PolicyFacts {
  readonly mesh: Mesh;
  /** Whether the dataplane allows its Envoy to write to a log file. */
  readonly mayLogTo: (file: string) => boolean;
}

/** Whether a matching rule takes effect, and why not. */
export interface Outcome {
  /** The logging backend that it uses. */
  readonly backend?: string;
  readonly applies: boolean;
  readonly reason: string;
  /** Reported if the rule takes effect nowhere in the mesh; completes a sentence that begins with the policy. */
  readonly why?: string;
}

/** The traits that make a resource type a policy. */
export interface PolicyTraits<
  Spec = unknown,
  Conf = unknown,
  Level extends PolicyLevel = PolicyLevel,
  Field extends string = string,
> {
  readonly level: Level;
  /** Whether only the most specific of several matching rules takes effect, or all of them. */
  readonly combine: "one" | "all";
  /** The field for this policy in the API's response for a dataplane: `trafficRoutes`. */
  readonly field: Field;
  /** The rules, in the order of their indices. */
  rules(spec: Spec): readonly Rule<Conf>[];
  /** The path of a rule: `rules[1]`; undefined for a flat one. */
  rulePath?(spec: Spec, index: number): string | undefined;
  /** Selectors match values literally: `*` is no wildcard. */
  readonly literal?: boolean;
  /** Has no effect in a mesh without mTLS. */
  readonly needsMtls?: boolean;
  /** Default: every rule takes effect. */
  outcome?(conf: Conf | undefined, facts: PolicyFacts): Outcome;
  /** The sentence of `explain` for connections where the policy of this name takes effect; default: none. */
  sentence?(name: string): string;
}

/** A resource type that configures Envoys. */
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

/** Like `resourceType`, for a policy. */
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

/** Whether the policy configures the inbound side or the outbound side of a connection. */
export const sideOf = ({ level }: Pick<PolicyTraits, "level">): "inbound" | "outbound" =>
  level === "dataplane" || level === "inbound" ? "inbound" : "outbound";

const applies: Outcome = { applies: true, reason: "all-apply" };
const mtlsOff: Outcome = { applies: false, reason: "mtls-off" };

/** Whether a matching rule of a policy takes effect. */
export function outcomeOf<Conf>(
  policy: PolicyTraits<never, Conf>,
  conf: Conf | undefined,
  facts: PolicyFacts,
): Outcome {
  if (policy.needsMtls === true && !mtlsEnabled(facts.mesh)) return mtlsOff;
  return policy.outcome?.(conf, facts) ?? applies;
}

/** The field of `explain` for the effective policy: `healthCheck`. */
export const explainedField = ({ name }: PolicyType): string => name.charAt(0).toLowerCase() + name.slice(1);
