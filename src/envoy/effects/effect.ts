import type { PolicyType } from "../../resources/policy-type.js";
import type { Tags } from "../../resources/tags.js";
import type { PolicyTable } from "../../view/policies.js";
import type { ClusterDraft } from "../clusters.js";
import type { Contribution, NotingScope, Scope } from "../contribution.js";
import type { GeneratorOptions } from "../generator-options.js";
import type { ListenerDraft } from "../listener-kinds/listener-kind.js";
import type { PlainValue, Unkeyable } from "../memo.js";
import type { ProxyTables } from "../resource.js";

/** A configuration under construction. */
export interface ConfigDraft extends NotingScope {
  readonly config: ProxyTables;
  readonly options: GeneratorOptions;
}

/** The contributions of one policy type. Each part reads policies of that type only. */
interface Parts<Spec, Conf, Inbound, Outbound, Cluster> {
  /**
   * To the listener of inbounds with these sets of tags. If an effect has no other part, a change of its policies only
   * updates the listeners of an existing configuration.
   */
  readonly inbound?: Contribution<readonly Tags[], ListenerDraft, Scope, Inbound, Spec, Conf>;
  /** To the listener of an outbound to this service. */
  readonly outbound?: Contribution<string, ListenerDraft, NotingScope, Outbound, Spec, Conf>;
  /** To a cluster of this service. */
  readonly cluster?: Contribution<string, ClusterDraft, NotingScope, Cluster, Spec, Conf>;
  /** Wraps the generation: may add resources before, after or instead of the generated ones. */
  config?(table: PolicyTable<Spec, Conf>, draft: ConfigDraft, addGenerated: () => void): void;
}

/** How the policies of one type change the configurations of proxies. */
export interface PolicyEffect extends Parts<unknown, unknown, PlainValue, PlainValue, PlainValue> {
  readonly type: PolicyType;
}

/** Creates an effect. The type checker rejects parameters that a cache key can't represent. */
export const policyEffect = <Spec, Conf, Inbound = never, Outbound = never, Cluster = never>(
  type: PolicyType<Spec, Conf>,
  parts: Parts<Spec, Conf, Inbound, Outbound, Cluster>,
  ..._unkeyable: Unkeyable<readonly [Inbound, Outbound, Cluster]>
  // Each `addTo` only gets parameters from its own `parametersOf`, and each part only the table of its type.
): PolicyEffect => ({ type, ...parts }) as unknown as PolicyEffect;
