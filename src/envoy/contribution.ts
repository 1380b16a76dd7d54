import type { PolicyType } from "../resources/policy-type.js";
import type { MeshView, ProxyView } from "../view/mesh-view.js";
import { type Policies, type PolicyTable, tableOf } from "../view/policies.js";
import type { Ignored } from "./ignored.js";
import type { PlainValue } from "./memo.js";
import type { Placement } from "./placement.js";
import type { TlsParameters } from "./tls.js";

/** What an effect may read besides its own policies: all of it is part of what a configuration is compared by. */
export interface Scope {
  readonly proxy: ProxyView;
  readonly mesh: MeshView["resource"];
  readonly placement: Placement;
  /** Undefined while mTLS is off. */
  readonly tls: TlsParameters | undefined;
}

/** The same where a configuration is made anew, and parts of policies that have no effect are noted. */
export interface NotingScope extends Scope {
  readonly ignored: Ignored[];
}

/**
 * What a policy adds to resources of one kind. It is in two steps, so that equal resources are made once: what the policy
 * comes to for a resource is plain data, which is in the resource's cache key, and the resource is made from that alone.
 */
export interface Contribution<About, Into, In extends Scope, P = PlainValue, Spec = unknown, Conf = unknown> {
  /** What the policies come to; undefined when they add nothing. */
  parametersOf(table: PolicyTable<Spec, Conf>, about: About, scope: In): P | undefined;
  addTo(into: Into, parameters: P): void;
}

/** What policies come to for one resource, by the names of their types. */
export type PolicyParameters = Readonly<Record<string, PlainValue>> | undefined;

/** The same part of several effects. */
export interface Contributions<About, Into, In extends Scope> {
  parametersOf(policies: Policies, about: About, scope: In): PolicyParameters;
  addTo(into: Into, parameters: PolicyParameters): void;
}

export function contributionsOf<Effect extends { readonly type: PolicyType }, About, Into, In extends Scope>(
  effects: readonly Effect[],
  partOf: (effect: Effect) => Contribution<About, Into, In> | undefined,
): Contributions<About, Into, In> {
  const parts = effects.flatMap((effect) => {
    const part = partOf(effect);
    return part === undefined ? [] : [{ type: effect.type, part }];
  });
  return {
    parametersOf(policies, about, scope) {
      let found: Record<string, PlainValue> | undefined;
      for (const { type, part } of parts) {
        const parameters = part.parametersOf(tableOf(policies, type), about, scope);
        if (parameters === undefined) continue;
        found ??= {};
        found[type.name] = parameters;
      }
      return found;
    },
    addTo(into, parameters) {
      if (parameters === undefined) return;
      for (const { type, part } of parts) {
        const own = parameters[type.name];
        if (own !== undefined) part.addTo(into, own);
      }
    },
  };
}
