/** How kubelet probes a container: seconds, and numbers of answers in a row. */
export interface ProbeTimes {
  readonly initialDelaySeconds: number;
  readonly timeoutSeconds: number;
  readonly periodSeconds: number;
  readonly failureThreshold: number;
}

/** Kubernetes quantities, such as 50m and 64Mi. */
export interface Quantities {
  readonly cpu: string;
  readonly memory: string;
}

export interface SidecarOptions {
  readonly image: string;
  /** Port of Envoy that connections of the pod are redirected to. */
  readonly redirectPort: number;
  /** User and group that kuma-dp and Envoy run as; their connections are not redirected. */
  readonly uid: number;
  readonly gid: number;
  readonly adminPort: number;
  /** Port of kuma-dp that kubelet probes; connections to it are not redirected. */
  readonly healthPort: number;
  /** Go's syntax: `30s`. */
  readonly drainTime: string;
  readonly readinessProbe: ProbeTimes & { readonly successThreshold: number };
  readonly livenessProbe: ProbeTimes;
  readonly resources: { readonly requests: Quantities; readonly limits: Quantities };
}

/** What pods are injected with. */
export interface InjectionOptions {
  readonly bootstrapServerUrl: string;
  readonly apiServerUrl: string;
  readonly sidecar: SidecarOptions;
  readonly initContainer: { readonly image: string };
  /**
   * Whether the sidecar is an init container that keeps running, which Kubernetes 1.29 and newer start before the other
   * containers and end after them. Older API servers drop its `restartPolicy`, and the pod would never leave its
   * initialization.
   */
  readonly nativeSidecar: boolean;
}
