import type { MeshView, ProxyView } from "../view/mesh-view.js";
import { type Policies, type PolicyTable, tableOf } from "../view/policies.js";
import { type AssignmentSource, type AssignmentSources, reassigned } from "./assignments.js";
import { createDefaultProxy, type Draft, scopeOf } from "./default-proxy.js";
import type { PolicyEffect } from "./effects/effect.js";
import { policyEffects } from "./effects/effects.js";
import type { GeneratorOptions } from "./generator-options.js";
import type { Ignored } from "./ignored.js";
import { listenerKinds } from "./listener-kinds/listener-kinds.js";
import { defaultPlacement, type Placement } from "./placement.js";
import type { EnvoyResource, ProxyConfig, ProxyTables } from "./resource.js";

export type { GeneratorOptions } from "./generator-options.js";

/** The inputs of a configuration, except endpoints and the policies that `renewed` handles. All are immutable. */
interface Basis extends GeneratorOptions {
  readonly proxy: ProxyView;
  readonly mesh: MeshView["resource"];
  readonly placement: Placement;
  readonly tables: readonly PolicyTable[];
}

/** The configuration of one proxy, and the inputs whose changes concern it. */
export interface Generated {
  readonly config: ProxyConfig;
  /** The services that its outbounds and routes lead to. */
  readonly upstreams: ReadonlySet<string>;
  /** The sources of its assignments. */
  readonly assignments: AssignmentSources;
  /** The services of its inbounds. */
  readonly inboundServices: ReadonlySet<string>;
  /** The parts of matching policies that have no effect on it. */
  readonly ignored: readonly Ignored[];
  readonly basis: Basis;
}

/** Kuma's default for clusters. */
export const connectTimeoutMs = 5000;

/**
 * Generates the Envoy configuration of one proxy: a pure function of its Dataplane, its mesh and its node metadata. It
 * consists of the profiles that the proxy's template imports and the template's raw resources.
 * @param before the proxy's previous configuration, whose valid parts are reused
 * @throws when the mesh has mTLS on and there is no secret server: it must not fall back to plaintext
 */
export type Generator = (
  proxy: ProxyView,
  mesh: MeshView,
  options: GeneratorOptions,
  placement?: Placement,
  before?: Generated,
) => Generated;

/**
 * Whether policies only affect inbound listeners, which `renewed` always regenerates. A change of any other policy,
 * even of a type without an effect, regenerates the whole configuration.
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

/** Replaces the listeners of the same names; returns the same object when none differs. */
function replaceListeners(lds: ProxyConfig["lds"], listeners: readonly EnvoyResource[]): ProxyConfig["lds"] {
  let changed: Map<string, EnvoyResource> | undefined;
  for (const listener of listeners) {
    const present = lds.get(listener.name);
    // A template may omit the generated listeners, or override them with its own.
    if (present === undefined || present.raw || present === listener) continue;
    changed ??= new Map(lds);
    changed.set(listener.name, listener);
  }
  return changed ?? lds;
}

/** Creates a generator for these policies and listener kinds. */
export function createGenerator(effects: readonly PolicyEffect[] = policyEffects, kinds = listenerKinds): Generator {
  const defaultProxy = createDefaultProxy(effects, kinds);
  const exempt = new Set(effects.filter(isRenewed).map(({ type }) => type.name));
  const around = effects.filter(({ config }) => config !== undefined);
  const tables = new WeakMap<Policies, readonly PolicyTable[]>();

  /** The policy tables that a configuration depends on. Cached: all proxies of a mesh share them. */
  function tablesOf(policies: Policies): readonly PolicyTable[] {
    let found = tables.get(policies);
    if (found === undefined) {
      found = Object.values(policies).filter(({ type }) => !exempt.has(type.name));
      tables.set(policies, found);
    }
    return found;
  }

  /**
   * Updates a configuration when nothing but inbound policies and endpoints differs. The result equals a new
   * generation, but unchanged tables are the same objects.
   */
  function renewed(before: Generated, proxy: ProxyView, mesh: MeshView, options: GeneratorOptions): Generated {
    const { config, assignments, basis } = before;
    const scope = scopeOf(proxy, mesh, options, basis.placement);
    const lds = replaceListeners(config.lds, defaultProxy.inboundListeners(mesh.policies, scope, options));
    return { ...before, config: reassigned({ ...config, lds }, assignments, mesh) };
  }

  /** Adds the generated resources, wrapped by the effects with `config`: the first effect is outermost. */
  function addAll(draft: Draft, mesh: MeshView, from = 0): void {
    const effect = around[from];
    if (effect === undefined) defaultProxy.add(draft, mesh);
    else effect.config?.(tableOf(mesh.policies, effect.type), draft, () => addAll(draft, mesh, from + 1));
  }

  return (proxy, mesh, options, placement = defaultPlacement, before = undefined) => {
    const basis: Basis = { ...options, proxy, mesh: mesh.resource, placement, tables: tablesOf(mesh.policies) };
    if (before !== undefined && sameBasis(before.basis, basis)) return renewed(before, proxy, mesh, options);
    const config: ProxyTables = { cds: new Map(), eds: new Map(), lds: new Map(), rds: new Map(), sds: new Map() };
    const upstreams = new Set<string>();
    const assignments = new Map<string, AssignmentSource>();
    const ignored: Ignored[] = [];
    const scope = scopeOf(proxy, mesh, options, placement);
    addAll({ ...scope, config, upstreams, assignments, ignored, options }, mesh);
    const inboundServices = new Set(proxy.inbounds.map(({ service }) => service));
    return { config, upstreams, assignments, inboundServices, ignored, basis };
  };
}

export const generate: Generator = createGenerator();
