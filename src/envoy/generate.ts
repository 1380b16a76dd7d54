import type { MeshView, ProxyView } from "../view/mesh-view.js";
import { type Policies, type PolicyTable, tableOf } from "../view/policies.js";
import { type AssignmentSource, type AssignmentSources, reassigned } from "./assignments.js";
import { createDefaultProxy, type Draft, scopeOf } from "./default-proxy.js";
import type { PolicyEffect } from "./effects/effect.js";
import { policyEffects } from "./effects/effects.js";
import type { Ignored } from "./ignored.js";
import { listenerKinds } from "./listener-kinds/listener-kinds.js";
import { defaultPlacement, type Placement } from "./placement.js";
import type { EnvoyResource, ProxyConfig, ProxyTables } from "./resource.js";
import type { Surroundings } from "./surroundings.js";

export type { Surroundings } from "./surroundings.js";

/** What a configuration was made from besides endpoints and what `renewed` takes in; all of it is immutable. */
interface Basis extends Surroundings {
  readonly proxy: ProxyView;
  readonly mesh: MeshView["resource"];
  readonly placement: Placement;
  readonly tables: readonly PolicyTable[];
}

/** What one proxy is told, and what that was read from: a change of those concerns it. */
export interface Generated {
  readonly config: ProxyConfig;
  /** Services it sends connections to. */
  readonly services: ReadonlySet<string>;
  /** Where its assignments come from. */
  readonly assignments: AssignmentSources;
  /** Services it offers. */
  readonly offered: ReadonlySet<string>;
  /** What is about it and has no effect. */
  readonly ignored: readonly Ignored[];
  readonly basis: Basis;
}

/** The default of Kuma's clusters. */
export const connectTimeoutMs = 5000;

/**
 * The Envoy configuration of one proxy: a pure function of its Dataplane, its mesh and what its Envoy says of itself. It
 * consists of what the proxy's template imports and of the template's own resources.
 * @param before what was made for the proxy last: what still holds of it is not made again
 * @throws when the mesh has mTLS on and there is no secret server: plaintext is no way out
 */
export type Generator = (
  proxy: ProxyView,
  mesh: MeshView,
  surroundings: Surroundings,
  placement?: Placement,
  before?: Generated,
) => Generated;

/**
 * Policies that are for listeners of inbounds and nothing else: `renewed` makes those anew each time. Every other type,
 * also one without an effect, has a configuration made anew.
 */
const isRenewed = ({ inbound, outbound, cluster, config }: PolicyEffect): boolean =>
  inbound !== undefined && outbound === undefined && cluster === undefined && config === undefined;

const sameMembers = (a: readonly unknown[], b: readonly unknown[]) =>
  a === b || (a.length === b.length && a.every((member, index) => member === b[index]));

function sameBasis(a: Basis, b: Basis): boolean {
  const keys = Object.keys(a) as (keyof Basis)[];
  return (
    keys.length === Object.keys(b).length &&
    keys.every((key) => {
      if (key === "placement") return a.placement.key === b.placement.key;
      return key === "tables" ? sameMembers(a.tables, b.tables) : a[key] === b[key];
    })
  );
}

/** The listeners of a configuration, with these in the place of those of their names; the same object when they are. */
function relisted(lds: ProxyConfig["lds"], listeners: readonly EnvoyResource[]): ProxyConfig["lds"] {
  let changed: Map<string, EnvoyResource> | undefined;
  for (const listener of listeners) {
    const present = lds.get(listener.name);
    // There is none when a template leaves our listeners out, and it may have its own in the place of ours.
    if (present === undefined || present.raw || present === listener) continue;
    changed ??= new Map(lds);
    changed.set(listener.name, listener);
  }
  return changed ?? lds;
}

/** Generates configurations with these policies and kinds of listeners. */
export function createGenerator(effects: readonly PolicyEffect[] = policyEffects, kinds = listenerKinds): Generator {
  const defaultProxy = createDefaultProxy(effects, kinds);
  const exempt = new Set(effects.filter(isRenewed).map(({ type }) => type.name));
  const around = effects.filter(({ config }) => config !== undefined);
  const tables = new WeakMap<Policies, readonly PolicyTable[]>();

  /** The tables that a configuration was made from, which all proxies of a mesh share. */
  function tablesOf(policies: Policies): readonly PolicyTable[] {
    let found = tables.get(policies);
    if (found === undefined) {
      found = Object.values(policies).filter(({ type }) => !exempt.has(type.name));
      tables.set(policies, found);
    }
    return found;
  }

  /** The same as made anew, when nothing but policies for inbounds and endpoints differs; tables that did not change stay the same. */
  function renewed(before: Generated, proxy: ProxyView, mesh: MeshView, surroundings: Surroundings): Generated {
    const { config, assignments, basis } = before;
    const scope = scopeOf(proxy, mesh, surroundings, basis.placement);
    const lds = relisted(config.lds, defaultProxy.inboundListeners(mesh.policies, scope, surroundings));
    return { ...before, config: reassigned({ ...config, lds }, assignments, mesh) };
  }

  /** Adds what is generated, and what effects put around it: the first of them outermost. */
  function addAll(draft: Draft, mesh: MeshView, from = 0): void {
    const effect = around[from];
    if (effect === undefined) defaultProxy.add(draft, mesh);
    else effect.config?.(tableOf(mesh.policies, effect.type), draft, () => addAll(draft, mesh, from + 1));
  }

  return (proxy, mesh, surroundings, placement = defaultPlacement, before = undefined) => {
    const basis: Basis = { ...surroundings, proxy, mesh: mesh.resource, placement, tables: tablesOf(mesh.policies) };
    if (before !== undefined && sameBasis(before.basis, basis)) return renewed(before, proxy, mesh, surroundings);
    const config: ProxyTables = { cds: new Map(), eds: new Map(), lds: new Map(), rds: new Map(), sds: new Map() };
    const services = new Set<string>();
    const assignments = new Map<string, AssignmentSource>();
    const ignored: Ignored[] = [];
    const scope = scopeOf(proxy, mesh, surroundings, placement);
    addAll({ ...scope, config, services, assignments, ignored, surroundings }, mesh);
    const offered = new Set(proxy.inbounds.map(({ service }) => service));
    return { config, services, assignments, offered, ignored, basis };
  };
}

export const generate: Generator = createGenerator();
