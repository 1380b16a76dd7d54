import type { InjectionOptions, ProbeTimes, SidecarOptions } from "./options.js";

export const sidecarName = "kuma-sidecar";
export const initName = "kuma-init";

/** What the containers need to know of the pod. */
export interface PodFacts {
  readonly mesh: string;
  /** Inbound ports whose connections go to the application directly, besides the health port. */
  readonly excludedInbound: readonly number[];
  /** Ports of other machines that connections go to directly. */
  readonly excludedOutbound: readonly number[];
  readonly volumes: VolumeNames;
}

/** Names of the volumes in this pod. */
export interface VolumeNames {
  readonly token: string;
  readonly sidecarTmp: string;
  readonly initTmp: string;
}

/**
 * Kubernetes' own directory: a mount of ours there keeps the API server from mounting a token for itself into the
 * sidecar, which has no use for it.
 */
const tokenDirectory = "/var/run/secrets/kubernetes.io/serviceaccount";
const tokenFile = "token";
/** The control plane accepts tokens for this audience only, so that a sidecar's token opens nothing else. */
export const tokenAudience = "kuma";
const tokenSeconds = 3600;

/** The volumes of both containers: a token for the control plane, and what they may write to. */
export const volumesOf = ({ token, sidecarTmp, initTmp }: VolumeNames): readonly object[] => [
  {
    name: token,
    projected: {
      sources: [{ serviceAccountToken: { audience: tokenAudience, expirationSeconds: tokenSeconds, path: tokenFile } }],
    },
  },
  { name: sidecarTmp, emptyDir: {} },
  { name: initTmp, emptyDir: {} },
];

const confined = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  seccompProfile: { type: "RuntimeDefault" },
};

const httpProbe = (path: string, port: number, times: ProbeTimes, successThreshold: number) => ({
  httpGet: { path, port },
  initialDelaySeconds: times.initialDelaySeconds,
  timeoutSeconds: times.timeoutSeconds,
  periodSeconds: times.periodSeconds,
  successThreshold,
  failureThreshold: times.failureThreshold,
});

const fromField = (name: string, fieldPath: string) => ({
  name,
  valueFrom: { fieldRef: { apiVersion: "v1", fieldPath } },
});

function environment({ sidecar, ...options }: InjectionOptions, { mesh }: PodFacts) {
  return [
    fromField("POD_NAME", "metadata.name"),
    fromField("POD_NAMESPACE", "metadata.namespace"),
    fromField("INSTANCE_IP", "status.podIP"),
    { name: "KUMA_CONTROL_PLANE_BOOTSTRAP_SERVER_URL", value: options.bootstrapServerUrl },
    { name: "KUMA_CONTROL_PLANE_API_SERVER_URL", value: options.apiServerUrl },
    { name: "KUMA_DATAPLANE_MESH", value: mesh },
    // kubelet fills it in: while a pod is admitted its name may not be known yet.
    { name: "KUMA_DATAPLANE_NAME", value: "$(POD_NAME).$(POD_NAMESPACE)" },
    { name: "KUMA_DATAPLANE_ADMIN_PORT", value: String(sidecar.adminPort) },
    { name: "KUMA_DATAPLANE_DRAIN_TIME", value: sidecar.drainTime },
    { name: "KUMA_DATAPLANE_RUNTIME_TOKEN_PATH", value: `${tokenDirectory}/${tokenFile}` },
    { name: "KUMA_DATAPLANE_HEALTH_PORT", value: String(sidecar.healthPort) },
  ];
}

/** Asks each second, for as long as the readiness probe would. */
const everySecond = (times: ProbeTimes): ProbeTimes => ({
  ...times,
  periodSeconds: 1,
  failureThreshold: times.failureThreshold * times.periodSeconds,
});

function probes({ healthPort, readinessProbe, livenessProbe }: SidecarOptions, native: boolean) {
  return {
    // A native sidecar holds the pod's other containers back until it can carry their traffic, and not for longer.
    ...(native ? { startupProbe: httpProbe("/ready", healthPort, everySecond(readinessProbe), 1) } : {}),
    livenessProbe: httpProbe("/healthy", healthPort, livenessProbe, 1),
    readinessProbe: httpProbe("/ready", healthPort, readinessProbe, readinessProbe.successThreshold),
  };
}

/** The container that runs kuma-dp. */
export function sidecarContainer(options: InjectionOptions, pod: PodFacts) {
  const { sidecar, nativeSidecar } = options;
  const { requests, limits } = sidecar.resources;
  return {
    name: sidecarName,
    image: sidecar.image,
    imagePullPolicy: "IfNotPresent",
    ...(nativeSidecar ? { restartPolicy: "Always" } : {}),
    args: ["run", "--log-level=info"],
    env: environment(options, pod),
    securityContext: {
      runAsUser: sidecar.uid,
      runAsGroup: sidecar.gid,
      runAsNonRoot: true,
      ...confined,
      capabilities: { drop: ["ALL"] },
    },
    ...probes(sidecar, nativeSidecar),
    resources: {
      requests: { cpu: requests.cpu, memory: requests.memory },
      limits: { cpu: limits.cpu, memory: limits.memory },
    },
    volumeMounts: [
      { name: pod.volumes.token, mountPath: tokenDirectory, readOnly: true },
      { name: pod.volumes.sidecarTmp, mountPath: "/tmp" },
    ],
  };
}

function initArguments({ redirectPort, uid, gid, healthPort }: SidecarOptions, pod: PodFacts): string[] {
  const inbound = [healthPort, ...pod.excludedInbound.filter((port) => port !== healthPort)];
  return [
    ...["-p", String(redirectPort), "-u", String(uid), "-g", String(gid), "-m", "REDIRECT"],
    ...["-i", "*", "-b", "*", "-d", inbound.join(",")],
    ...(pod.excludedOutbound.length > 0 ? ["-o", pod.excludedOutbound.join(",")] : []),
  ];
}

/** The container that redirects the pod's connections to the sidecar, and ends. */
export function initContainer({ initContainer, sidecar }: InjectionOptions, pod: PodFacts) {
  return {
    name: initName,
    image: initContainer.image,
    imagePullPolicy: "IfNotPresent",
    args: initArguments(sidecar, pod),
    env: [{ name: "XTABLES_LOCKFILE", value: "/tmp/xtables.lock" }],
    securityContext: {
      // Stated, because the pod may ask all its containers for another user.
      runAsUser: 0,
      runAsGroup: 0,
      runAsNonRoot: false,
      ...confined,
      // NET_RAW: older kernels ask for it where iptables changes its legacy tables.
      capabilities: { add: ["NET_ADMIN", "NET_RAW"], drop: ["ALL"] },
    },
    resources: { requests: { cpu: "10m", memory: "10M" }, limits: { cpu: "100m", memory: "50M" } },
    volumeMounts: [{ name: pod.volumes.initTmp, mountPath: "/tmp" }],
  };
}
