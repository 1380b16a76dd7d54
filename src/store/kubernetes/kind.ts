import { storeKind } from "../kind.js";
import { kubernetesTable } from "./settings.js";

/** Custom resources and Secrets in the API server of a Kubernetes cluster. */
export const kubernetesKind = storeKind({
  name: "kubernetes",
  settings: kubernetesTable,
  repair:
    "for Kubernetes, that the API server answers, that the CRDs are installed (`kumactl install crds | kubectl apply -f -`) " +
    "and that the ServiceAccount of kuma-cp may write",
  async check() {
    const { loadCredentials } = await import("../../kubeapi/credentials.js");
    await loadCredentials();
  },
  async open({ kubernetesSystemNamespace: systemNamespace }, context) {
    const { loadCredentials } = await import("../../kubeapi/credentials.js");
    const { createKubeClient } = await import("../../kubeapi/client.js");
    const { openKubernetesStore } = await import("./open.js");
    const client = createKubeClient(await loadCredentials());
    return openKubernetesStore({ ...context, client, systemNamespace });
  },
});
