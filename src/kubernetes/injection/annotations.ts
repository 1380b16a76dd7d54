import { nameCauses } from "../../resources/name.js";
import { defaultMesh, meshAnnotation } from "../annotations.js";

/** On a pod, as an annotation or a label, with one of `optOutValues`: the pod gets no sidecar. */
export const injectionAnnotation = "kuma.io/sidecar-injection";
export const optOutValues: ReadonlySet<unknown> = new Set(["disabled", "false"]);

/** Comma-separated ports of the pod whose connections are not redirected. */
export const excludeInboundAnnotation = "traffic.kuma.io/exclude-inbound-ports";
/** Comma-separated ports of other machines whose connections are not redirected. */
export const excludeOutboundAnnotation = "traffic.kuma.io/exclude-outbound-ports";

/** How many ports one annotation may exclude: each is a firewall rule that every connection of the pod passes. */
export const mostExcludedPorts = 100;

type Annotations = Readonly<Record<string, unknown>>;

/** What an annotation asks for, or the problem with its value. */
export type Read<T> = { readonly value: T } | { readonly annotation: string; readonly problem: string };

const shown = (value: unknown) => JSON.stringify(typeof value === "string" ? value.slice(0, 100) : value);

/** The mesh of the pod; an empty annotation is none. */
export function readMesh(annotations: Annotations): Read<string> {
  const given = annotations[meshAnnotation] ?? "";
  if (given === "") return { value: defaultMesh };
  const refused = (why: string) => ({
    annotation: meshAnnotation,
    problem: `${shown(given)} can't be the name of a mesh: ${why}`,
  });
  if (typeof given !== "string") return refused("it has to be text");
  const [cause] = nameCauses({ mesh: given, name: "" });
  return cause === undefined ? { value: given } : refused(cause.message);
}

/** The ports in the annotation, each once, in the order given. */
export function readPorts(annotations: Annotations, annotation: string): Read<readonly number[]> {
  const given = annotations[annotation] ?? "";
  const refused = (problem: string) => ({ annotation, problem });
  if (typeof given !== "string") return refused(`${shown(given)} has to be text`);
  if (given.trim() === "") return { value: [] };
  const ports = new Set<number>();
  for (const word of given.split(",").map((part) => part.trim())) {
    const port = /^[0-9]{1,5}$/.test(word) ? Number(word) : 0;
    if (port < 1 || port > 65_535) {
      return refused(`${shown(word)} is not a port: write numbers from 1 to 65535, separated by commas`);
    }
    ports.add(port);
  }
  if (ports.size > mostExcludedPorts) return refused(`it names ${ports.size} ports; ${mostExcludedPorts} may be`);
  return { value: [...ports] };
}
