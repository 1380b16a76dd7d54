import type { Registry } from "../../resources/registry.js";
import { crds } from "../crds.js";
import { configMaps } from "./config-maps.js";
import { deployments, disruptionBudget } from "./deployments.js";
import { compareManifests, type Manifest } from "./manifest.js";
import type { InstallOptions } from "./options.js";
import type { Pairs } from "./pairs.js";
import { permissions, serviceAccounts } from "./rbac.js";
import { secrets } from "./secrets.js";
import { services } from "./services.js";
import { webhooks } from "./webhooks.js";

export interface Installation {
  readonly registry: Registry;
  readonly options: InstallOptions;
  readonly pairs: Pairs;
}

function namespaceOf(name: string): Manifest {
  return {
    apiVersion: "v1",
    kind: "Namespace",
    metadata: {
      name,
      labels: { "kuma.io/system-namespace": "true", "pod-security.kubernetes.io/enforce": "restricted" },
    },
  };
}

/** Everything that a control plane on Kubernetes consists of, in the order in which it has to be applied. */
export function controlPlaneManifests(installation: Installation): Manifest[] {
  const { registry, options, pairs } = installation;
  const { namespace } = options;
  return [
    namespaceOf(namespace),
    ...secrets(namespace, pairs),
    ...configMaps(namespace),
    ...serviceAccounts(namespace),
    ...crds(registry).map((crd) => ({ ...crd })),
    ...permissions(registry, namespace),
    ...services(options),
    ...deployments(options),
    disruptionBudget(options),
    ...webhooks(registry, options, pairs),
  ].sort(compareManifests);
}

/** What is state and not just the means to serve it: custom resources, and the namespace that has the authorities' keys. */
const holdsState = ({ kind }: Manifest): boolean => kind === "CustomResourceDefinition" || kind === "Namespace";

/**
 * The same by name only, for `kubectl delete -f -`, in the opposite order: the webhooks first, without which nobody
 * could change a custom resource once the control plane is gone. With `state` also what the mesh's state is in.
 */
export function uninstallManifests(manifests: readonly Manifest[], { state }: { readonly state: boolean }): Manifest[] {
  return manifests
    .filter((manifest) => state || !holdsState(manifest))
    .map(({ apiVersion, kind, metadata: { name, namespace } }) => ({
      apiVersion,
      kind,
      metadata: { name, ...(namespace === undefined ? {} : { namespace }) },
    }))
    .reverse();
}
