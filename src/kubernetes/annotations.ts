// The annotations that the injector writes on pods and the control plane reads. A pod's own text always wins.

/** The mesh of the pod; absent or empty: `default`. */
export const meshAnnotation = "kuma.io/mesh";
/** `true` on a pod that has a sidecar. */
export const injectedAnnotation = "kuma.io/sidecar-injected";
/** `enabled` on a pod whose connections are redirected to its sidecar. */
export const transparentProxyingAnnotation = "kuma.io/transparent-proxying";
/** The port that they are redirected to. */
export const redirectPortAnnotation = "kuma.io/transparent-proxying-port";

export const defaultMesh = "default";
