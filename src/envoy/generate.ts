import { mayLogTo } from "../lib/log-directories.js";
import { templateCandidates } from "../policy/templates.js";
import { contentOf, defaultProfile, type ProxyTemplate, profiles } from "../resources/proxy-template.js";
import type { Stored } from "../store/store.js";
import type { MeshView, ProxyView } from "../view/mesh-view.js";
import type { Policies } from "../view/policies.js";
import { type AssignmentSource, type AssignmentSources, reassigned } from "./assignments.js";
import { addDefaultProxy, type DefaultProxySettings, inboundListeners } from "./default-proxy.js";
import { type Ignored, outsideText } from "./ignored.js";
import { defaultPlacement, type Placement } from "./placement.js";
import type { EnvoyApi } from "./raw/api.js";
import { forbiddenAddresses } from "./raw/native.js";
import { rawResourcesOf } from "./raw/readings.js";
import type { EnvoyResource, ProxyConfig, ProxyTables } from "./resource.js";

/**
 * Policy types whose changes `renewed` takes into a configuration as it is. Every other type, also one that is added to
 * `Policies`, has a configuration made anew.
 */
type Renewed = "TrafficPermission";

/** What a configuration was made from besides `Renewed` policies and endpoints; all of it is immutable. */
interface Basis extends Surroundings, Omit<Policies, Renewed> {
  readonly proxy: ProxyView;
  readonly mesh: MeshView["resource"];
  readonly placement: Placement;
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

/** What a configuration depends on besides the mesh. */
export interface Surroundings extends DefaultProxySettings {
  /** Reads raw resources that the API which we carry along does not know enough for. */
  readonly newerApi?: EnvoyApi | undefined;
}

/** The default of Kuma's clusters. */
export const connectTimeoutMs = 5000;

/** Without a template a proxy gets what we generate. */
const usual: ReturnType<typeof contentOf> = { imports: [defaultProfile], resources: [] };

function unknownImports(policy: Stored<ProxyTemplate>): Ignored[] {
  return contentOf(policy.spec)
    .imports.filter((profile) => !profiles.includes(profile))
    .map((profile) => ({ policy, field: "imports", reason: `there is no profile ${JSON.stringify(profile)}` }));
}

/**
 * Adds a template's raw resources: the last one of a name counts, and all of them before what we generate. One that
 * writes a file where the proxy allows none is left out.
 */
function addRaw(
  { config, ignored }: { readonly config: ProxyTables; readonly ignored: Ignored[] },
  policy: Stored<ProxyTemplate>,
  { newerApi, ownServers }: Surroundings,
  { logDirectories }: Placement,
): void {
  const { resources, unreadable } = rawResourcesOf(policy, newerApi);
  for (const { kind, resource, files, addresses, field } of resources) {
    const outside = files.find((file) => !mayLogTo(logDirectories, file));
    const [forbidden] = ownServers === undefined ? [] : forbiddenAddresses(ownServers, addresses);
    if (outside !== undefined) ignored.push({ policy, field, reason: outsideText(outside) });
    else if (forbidden === undefined) config[kind].set(resource.name, resource);
    else ignored.push({ policy, field, reason: `${forbidden.field}: ${forbidden.message}` });
  }
  for (const { field, reason } of unreadable) ignored.push({ policy, field, reason });
}

function basisOf(
  proxy: ProxyView,
  { resource: mesh, policies: { TrafficPermission: _renewed, ...policies } }: MeshView,
  surroundings: Surroundings,
  placement: Placement,
): Basis {
  return { ...surroundings, ...policies, proxy, mesh, placement };
}

function sameBasis(a: Basis, b: Basis): boolean {
  const keys = Object.keys(a) as (keyof Basis)[];
  return (
    keys.length === Object.keys(b).length &&
    keys.every((key) => (key === "placement" ? a.placement.key === b.placement.key : a[key] === b[key]))
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

/** The same as made anew, when nothing but permissions and endpoints differs; tables that did not change stay the same. */
function renewed(before: Generated, proxy: ProxyView, mesh: MeshView, surroundings: Surroundings): Generated {
  const { config, assignments, basis } = before;
  const lds = relisted(config.lds, inboundListeners(proxy, mesh, surroundings, basis.placement));
  return { ...before, config: reassigned({ ...config, lds }, assignments, mesh) };
}

/**
 * The Envoy configuration of one proxy: a pure function of its Dataplane, its mesh and what its Envoy says of itself. It
 * consists of what the proxy's template imports and of the template's own resources.
 * @param before what was made for the proxy last: what still holds of it is not made again
 * @throws when the mesh has mTLS on and there is no secret server: plaintext is no way out
 */
export function generate(
  proxy: ProxyView,
  mesh: MeshView,
  surroundings: Surroundings,
  placement: Placement = defaultPlacement,
  before?: Generated,
): Generated {
  const basis = basisOf(proxy, mesh, surroundings, placement);
  if (before !== undefined && sameBasis(before.basis, basis)) return renewed(before, proxy, mesh, surroundings);
  const config: ProxyTables = { cds: new Map(), eds: new Map(), lds: new Map(), rds: new Map(), sds: new Map() };
  const services = new Set<string>();
  const assignments = new Map<string, AssignmentSource>();
  const ignored: Ignored[] = [];
  const template = templateCandidates(mesh.policies, proxy.inbounds)[0]?.policy;
  const { imports } = template === undefined ? usual : contentOf(template.spec);

  if (imports.includes(defaultProfile)) {
    addDefaultProxy({ config, services, assignments, ignored }, proxy, mesh, surroundings, placement);
  }
  if (template !== undefined) {
    ignored.push(...unknownImports(template));
    addRaw({ config, ignored }, template, surroundings, placement);
  }
  const offered = new Set(proxy.inbounds.map(({ service }) => service));
  return { config, services, assignments, offered, ignored, basis };
}
