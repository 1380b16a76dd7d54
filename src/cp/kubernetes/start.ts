import type { ViewFeed } from "../../feed/feed.js";
import type { Authorities } from "../../identity/authorities.js";
import type { Registry } from "../../resources/registry.js";
import type { KubernetesAccess } from "../../store/kind.js";
import type { Leadership } from "../../store/leadership.js";
import type { Store } from "../../store/store.js";
import type { BundledEnvoy } from "../checks/bundled-envoy.js";
import type { KnownOwnServers } from "../own-servers.js";
import type { StartContext } from "../start-context.js";

interface Parts {
  /** Undefined where the control plane does not run on Kubernetes. */
  readonly access: KubernetesAccess | undefined;
  readonly registry: Registry;
  readonly store: Store;
  readonly leadership: Leadership;
  readonly feed: ViewFeed;
  readonly authorities: Authorities;
  readonly own: KnownOwnServers;
  readonly envoy: BundledEnvoy;
}

/**
 * Starts what a control plane has on Kubernetes only: admission webhooks, and the controllers.
 * @returns the port of the webhooks
 */
export async function startKubernetes(context: StartContext, { access, ...parts }: Parts): Promise<number | undefined> {
  if (access === undefined) return undefined;
  const { startAdmissionServer } = await import("./admission-server.js");
  const { startControllers } = await import("./controllers.js");
  const port = await startAdmissionServer(context, { access, ...parts });
  startControllers(context, { access, ...parts });
  return port;
}
