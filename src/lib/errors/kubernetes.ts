import { failure } from "./entry.js";

/** Access to the Kubernetes API. */
export const kubernetesErrors = {
  "kubernetes.no-credentials": failure`There are no credentials for a Kubernetes API server: set KUBECONFIG to a
    kubeconfig file, or run in a pod whose ServiceAccount token is mounted (KUBERNETES_SERVICE_HOST is
    ${"serviceHost"}), or put a kubeconfig at ${"home"}`,
  "kubernetes.kubeconfig": failure`The kubeconfig ${"file"} (${"source"}) can't be used: ${"reason"}`,
  "kubernetes.service-account": failure`The ServiceAccount's file ${"file"} can't be read: ${"reason"}. A pod gets it
    unless automountServiceAccountToken is false`,
} as const;
