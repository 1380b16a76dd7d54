import type { EnvoyApi } from "../envoy/raw/api.js";
import { rawResourcesOf } from "../envoy/raw/readings.js";
import type { ViewFeed, ViewListener } from "../feed/feed.js";
import type { Logger } from "../lib/logger.js";
import { type ProxyTemplate, proxyTemplateType } from "../resources/proxy-template.js";
import type { Stored } from "../store/store.js";
import { untouched } from "../view/apply.js";
import type { MeshView } from "../view/mesh-view.js";
import { type PolicyTable, tableOf } from "../view/policies.js";
import type { BundledEnvoy } from "./checks/bundled-envoy.js";

/** The API of the Envoy beside this program, loaded once a stored template has content unknown to ours. */
export interface NewerApi {
  readonly current: EnvoyApi | undefined;
  /** False while a template of the mesh needs it and it is not loaded: resources would be removed and added again. */
  ready(mesh: MeshView): boolean;
  /** Follows the view from now on; resolves once no template that it has now waits for that API. */
  start(): Promise<void>;
  /** Also reports a mesh that became ready, like a policy that affects all of it. */
  readonly feed: Pick<ViewFeed, "view" | "listen">;
}

interface Options {
  readonly feed: ViewFeed;
  readonly envoy: Pick<BundledEnvoy, "api">;
  readonly logger: Logger;
}

const allProxies = { ...untouched(), everyone: true };

/** Loads that API when a template needs it: it takes half a second and 30 MB, and most meshes never need it. */
export function createNewerApi({ feed, envoy, logger }: Options): NewerApi {
  const listeners = new Set<ViewListener>();
  /** Templates for which loading was tried, whether or not an Envoy was found. */
  const asked = new WeakSet<Stored<ProxyTemplate>>();
  const tables = new WeakMap<PolicyTable<ProxyTemplate>, readonly Stored<ProxyTemplate>[]>();
  let current: EnvoyApi | undefined;

  /** The templates of a mesh that need more than our own API. */
  function demanding({ policies }: MeshView): readonly Stored<ProxyTemplate>[] {
    const table = tableOf(policies, proxyTemplateType);
    let found = tables.get(table);
    if (found === undefined) {
      found = [...table.byName.values()].filter((template) => rawResourcesOf(template, current).needNewer);
      tables.set(table, found);
    }
    return found;
  }

  const waiting = (mesh: MeshView) => demanding(mesh).filter((template) => !asked.has(template));

  /** True if the mesh became ready. */
  async function settle(mesh: MeshView): Promise<boolean> {
    const templates = waiting(mesh);
    if (templates.length === 0) return false;
    // Requested for each template: the Envoy may have been replaced, and is only read again if it was.
    current = await envoy.api();
    for (const template of templates) asked.add(template);
    return true;
  }

  async function follow(name: string): Promise<void> {
    const mesh = feed.view().get(name);
    if (mesh === undefined || !(await settle(mesh))) return;
    for (const listener of listeners) listener(name, allProxies);
  }

  return {
    get current() {
      return current;
    },
    ready: (mesh) => waiting(mesh).length === 0,
    async start() {
      feed.listen((name) => {
        follow(name).catch((error: unknown) =>
          logger.error("raw resources were not validated again", { mesh: name, error }),
        );
      });
      for (const mesh of feed.view().values()) await settle(mesh);
    },
    feed: {
      view: feed.view,
      listen(listener) {
        const unlisten = feed.listen(listener);
        listeners.add(listener);
        return () => {
          unlisten();
          listeners.delete(listener);
        };
      },
    },
  };
}
