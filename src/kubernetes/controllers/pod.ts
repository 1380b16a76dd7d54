import type { KubeObject } from "../../kubeapi/object.js";
import {
  defaultMesh,
  injectedAnnotation,
  meshAnnotation,
  redirectPortAnnotation,
  transparentProxyingAnnotation,
} from "../annotations.js";
import { objectIn, objectsIn, textIn, textsIn } from "../fields.js";

/** A port that a container declares. */
export interface ContainerPort {
  readonly name: string;
  readonly port: number;
  readonly protocol: string;
}

/** What the control plane needs of a Pod: a fraction of it, since all pods of a cluster are held in memory. */
export interface Pod {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Whether it has a sidecar, as the injector says. */
  readonly injected: boolean;
  readonly mesh: string;
  /** Undefined without transparent proxying; 0 if the annotation is not a port. */
  readonly redirectPort: number | undefined;
  /** Its first address; empty until it has one. */
  readonly ip: string;
  readonly hostNetwork: boolean;
  /** It has ended and will not run again: `Succeeded` or `Failed`. */
  readonly finished: boolean;
  /** It is being deleted and may still serve connections. */
  readonly terminating: boolean;
  /** Those of app containers, then those of native sidecars, in order. */
  readonly ports: readonly ContainerPort[];
}

const sidecarName = "kuma-sidecar";

function portsOf(spec: Readonly<Record<string, unknown>>): ContainerPort[] {
  const native = objectsIn(spec.initContainers).filter(({ restartPolicy }) => restartPolicy === "Always");
  return [...objectsIn(spec.containers), ...native]
    .filter(({ name }) => name !== sidecarName)
    .flatMap(({ ports }) => objectsIn(ports))
    .flatMap(({ name, containerPort, protocol }) =>
      typeof containerPort === "number"
        ? [{ name: textIn(name), port: containerPort, protocol: textIn(protocol) || "TCP" }]
        : [],
    );
}

/** As many digits as a port has, and nothing else; 0 for other texts. */
function portOf(text: string): number {
  const port = /^[0-9]{1,5}$/.test(text) ? Number(text) : 0;
  return port <= 65_535 ? port : 0;
}

/** Reads what the control plane needs of a Pod. */
export function readPod({ metadata, ...object }: KubeObject): Pod {
  const { namespace = "", name, uid = "", deletionTimestamp } = metadata;
  const annotations = textsIn(metadata.annotations);
  const spec = objectIn(object.spec);
  const status = objectIn(object.status);
  const redirected = annotations[transparentProxyingAnnotation] === "enabled";
  return {
    namespace,
    name,
    uid,
    labels: textsIn(metadata.labels),
    injected: annotations[injectedAnnotation] === "true",
    mesh: annotations[meshAnnotation] || defaultMesh,
    redirectPort: redirected ? portOf(annotations[redirectPortAnnotation] ?? "") : undefined,
    ip: textIn(status.podIP),
    hostNetwork: spec.hostNetwork === true,
    finished: status.phase === "Succeeded" || status.phase === "Failed",
    terminating: deletionTimestamp !== undefined,
    ports: portsOf(spec),
  };
}
