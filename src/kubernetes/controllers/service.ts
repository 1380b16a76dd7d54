import type { KubeObject } from "../../kubeapi/object.js";
import { objectIn, objectsIn, textIn, textsIn } from "../fields.js";

/** A TCP port of a Service. */
export interface ServicePort {
  readonly port: number;
  /** The port of the pods, or the name by which their containers declare it. */
  readonly target: number | string;
}

/** What the control plane needs of a Service. */
export interface KubeService {
  readonly namespace: string;
  readonly name: string;
  /** Empty for one that selects no pods. */
  readonly selector: Readonly<Record<string, string>>;
  /** Its virtual address; undefined for a headless Service, one of type ExternalName, and one that has none yet. */
  readonly clusterIp: string | undefined;
  /** Its TCP ports, in order. */
  readonly ports: readonly ServicePort[];
}

function readPort({ port, targetPort, protocol }: Readonly<Record<string, unknown>>): ServicePort[] {
  if (typeof port !== "number" || (textIn(protocol) || "TCP") !== "TCP") return [];
  const target = typeof targetPort === "number" || typeof targetPort === "string" ? targetPort : 0;
  return [{ port, target: target === 0 || target === "" ? port : target }];
}

/** Reads what the control plane needs of a Service. One of type ExternalName has neither pods nor an address. */
export function readService({ metadata, ...object }: KubeObject): KubeService {
  const spec = objectIn(object.spec);
  const external = spec.type === "ExternalName";
  const address = textIn(spec.clusterIP);
  return {
    namespace: metadata.namespace ?? "",
    name: metadata.name,
    selector: external ? {} : textsIn(spec.selector),
    clusterIp: external || address === "" || address === "None" ? undefined : address,
    ports: objectsIn(spec.ports).flatMap(readPort),
  };
}

/** Whether the Service selects pods with these labels. One without a selector selects none. */
export function selects({ selector }: KubeService, labels: Readonly<Record<string, string>>): boolean {
  const wanted = Object.entries(selector);
  return wanted.length > 0 && wanted.every(([key, value]) => Object.hasOwn(labels, key) && labels[key] === value);
}

/** The tag of a port of a Service: `web.demo.svc:80`. */
export const serviceTagOf = ({ namespace, name }: Pick<KubeService, "namespace" | "name">, port: number): string =>
  `${name}.${namespace}.svc:${port}`;

/** A port of a Service, as its tag names it. */
export interface ServiceAddress {
  readonly namespace: string;
  readonly name: string;
  readonly port: number;
}

const serviceTagPattern = /^([^.:]+)\.([^.:]+)\.svc:([0-9]{1,5})$/;

/** The port of a Service that a tag names; undefined for tags of other forms, such as those of hand-made Dataplanes. */
export function parseServiceTag(tag: string): ServiceAddress | undefined {
  const match = serviceTagPattern.exec(tag);
  if (match === null) return undefined;
  return { name: match[1] ?? "", namespace: match[2] ?? "", port: Number(match[3]) };
}
