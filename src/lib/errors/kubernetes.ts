import { failure } from "./entry.js";

/** Access to the Kubernetes API, and what it does not have. */
export const kubernetesErrors = {
  "kubernetes.no-credentials": failure`There are no credentials for a Kubernetes API server: set KUBECONFIG to a
    kubeconfig file, or run in a pod whose ServiceAccount token is mounted (KUBERNETES_SERVICE_HOST is
    ${"serviceHost"}), or put a kubeconfig at ${"home"}`,
  "kubernetes.kubeconfig": failure`The kubeconfig ${"file"} (${"source"}) can't be used: ${"reason"}`,
  "kubernetes.service-account": failure`The ServiceAccount's file ${"file"} can't be read: ${"reason"}. A pod gets it
    unless automountServiceAccountToken is false`,
  "kubernetes.request": failure`The API server can't answer a request: ${"reason"}`,
  "kubernetes.forbidden": failure`The API server does not permit a request: ${"reason"}`,
  "native-sidecar.unsupported": failure`The API server has version ${"version"}, but native sidecars take 1.29 or newer:
    an older one drops what makes them keep running, and pods would never start. Set KUMA_INJECTOR_NATIVE_SIDECAR to
    auto or false`,
} as const;
