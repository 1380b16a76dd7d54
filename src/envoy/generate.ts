import { templateCandidates } from "../policy/templates.js";
import { contentOf, defaultProfile, type ProxyTemplate, profiles } from "../resources/proxy-template.js";
import type { Stored } from "../store/store.js";
import type { MeshView, ProxyView } from "../view/mesh-view.js";
import type { AssignmentSource, AssignmentSources } from "./assignments.js";
import { addDefaultProxy, type DefaultProxySettings } from "./default-proxy.js";
import type { Ignored } from "./ignored.js";
import type { EnvoyApi } from "./raw/api.js";
import { rawResourcesOf } from "./raw/readings.js";
import type { ProxyConfig, ProxyTables } from "./resource.js";

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

/** Adds a template's raw resources: the last one of a name counts, and all of them before what we generate. */
function addRaw(
  into: ProxyTables,
  policy: Stored<ProxyTemplate>,
  newerApi: EnvoyApi | undefined,
  ignored: Ignored[],
): void {
  const { resources, unreadable } = rawResourcesOf(policy, newerApi);
  for (const { kind, resource } of resources) into[kind].set(resource.name, resource);
  for (const { field, reason } of unreadable) ignored.push({ policy, field, reason });
}

/**
 * The Envoy configuration of one proxy: a pure function of its Dataplane, its mesh and where its token is. It consists of
 * what the proxy's template imports and of the template's own resources.
 * @throws when the mesh has mTLS on and there is no secret server: plaintext is no way out
 */
export function generate(proxy: ProxyView, mesh: MeshView, surroundings: Surroundings, tokenPath?: string): Generated {
  const config: ProxyTables = { cds: new Map(), eds: new Map(), lds: new Map(), rds: new Map(), sds: new Map() };
  const services = new Set<string>();
  const assignments = new Map<string, AssignmentSource>();
  const ignored: Ignored[] = [];
  const template = templateCandidates(mesh.policies, proxy.inbounds)[0]?.policy;
  const { imports } = template === undefined ? usual : contentOf(template.spec);

  if (imports.includes(defaultProfile)) {
    addDefaultProxy({ config, services, assignments, ignored }, proxy, mesh, surroundings, tokenPath);
  }
  if (template !== undefined) {
    ignored.push(...unknownImports(template));
    addRaw(config, template, surroundings.newerApi, ignored);
  }
  return { config, services, assignments, offered: new Set(proxy.inbounds.map(({ service }) => service)), ignored };
}
