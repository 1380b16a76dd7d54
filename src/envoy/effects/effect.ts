import type { PolicyType } from "../../resources/policy-type.js";
import type { Tags } from "../../resources/tags.js";
import type { PolicyTable } from "../../view/policies.js";
import type { ClusterDraft } from "../clusters.js";
import type { Contribution, NotingScope, Scope } from "../contribution.js";
import type { ListenerDraft } from "../listener-kinds/listener-kind.js";
import type { PlainValue, Unkeyable } from "../memo.js";
import type { ProxyTables } from "../resource.js";
import type { Surroundings } from "../surroundings.js";

/** A configuration that is being made. */
export interface ConfigDraft extends NotingScope {
  readonly config: ProxyTables;
  readonly surroundings: Surroundings;
}

/** What the policies of a type do to configurations; each part reads policies of the type only, and is given plain data. */
interface Parts<Spec, Conf, Inbound, Outbound, Cluster> {
  /**
   * To the listener of inbounds with these sets of tags. A change of policies that do nothing else is taken into a
   * configuration as it is.
   */
  readonly inbound?: Contribution<readonly Tags[], ListenerDraft, Scope, Inbound, Spec, Conf>;
  /** To the listener of an outbound to this service. */
  readonly outbound?: Contribution<string, ListenerDraft, NotingScope, Outbound, Spec, Conf>;
  /** To a cluster of this service. */
  readonly cluster?: Contribution<string, ClusterDraft, NotingScope, Cluster, Spec, Conf>;
  /** Around all that is generated: before it, instead of it and after it. */
  config?(table: PolicyTable<Spec, Conf>, draft: ConfigDraft, addGenerated: () => void): void;
}

/** What the policies of a type do to the configurations of proxies. */
export interface PolicyEffect extends Parts<unknown, unknown, PlainValue, PlainValue, PlainValue> {
  readonly type: PolicyType;
}

/** An effect whose parameters are of types that a cache key can tell. */
export const policyEffect = <Spec, Conf, Inbound = never, Outbound = never, Cluster = never>(
  type: PolicyType<Spec, Conf>,
  parts: Parts<Spec, Conf, Inbound, Outbound, Cluster>,
  ..._unkeyable: Unkeyable<readonly [Inbound, Outbound, Cluster]>
  // Each `addTo` is given what `parametersOf` beside it returned, and each part the table of the type.
): PolicyEffect => ({ type, ...parts }) as unknown as PolicyEffect;
