import type { PolicyType } from "../resources/policy-type.js";
import type { MeshView, ProxyView } from "../view/mesh-view.js";
import { type Policies, type PolicyTable, tableOf } from "../view/policies.js";
import type { Ignored } from "./ignored.js";
import type { PlainValue } from "./memo.js";
import type { Placement } from "./placement.js";
import type { TlsParameters } from "./tls.js";

/** The inputs of an effect besides its own policies. All of them are part of a configuration's `Basis`. */
export interface Scope {
  readonly proxy: ProxyView;
  readonly mesh: MeshView["resource"];
  readonly placement: Placement;
  /** Undefined while mTLS is off. */
  readonly tls: TlsParameters | undefined;
}

/** A scope that also collects the parts of policies that have no effect. */
export interface NotingScope extends Scope {
  readonly ignored: Ignored[];
}

/**
 * What a policy adds to resources of one kind. It has two steps, so that equal resources are created once: the policies
 * are first reduced to parameters, plain data that is part of the resource's cache key, and the resource is then
 * created from the parameters alone.
 */
export interface Contribution<About, Into, In extends Scope, P = PlainValue, Spec = unknown, Conf = unknown> {
  /** The parameters; undefined when the policies add nothing. */
  parametersOf(table: PolicyTable<Spec, Conf>, about: About, scope: In): P | undefined;
  addTo(into: Into, parameters: P): void;
}

/** The parameters of all policies for one resource, by policy type name. */
export type PolicyParameters = Readonly<Record<string, PlainValue>> | undefined;

/** The combined contributions of several effects. */
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
