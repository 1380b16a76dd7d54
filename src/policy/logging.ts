import type { LoggingBackend, Mesh } from "../resources/mesh.js";
import type { LogRule } from "./matching.js";

/** Where a rule's lines go; undefined when it names no backend of the mesh, nor has the mesh a default one: then nothing is logged. */
export function backendOf({ backend }: Pick<LogRule, "backend">, { logging }: Mesh): LoggingBackend | undefined {
  const wanted = backend ?? logging?.defaultBackend ?? "";
  return wanted === "" ? undefined : logging?.backends?.find(({ name }) => name === wanted);
}

/** The file on the dataplane's machine that a backend logs to; undefined for one that logs elsewhere. */
export const loggedFile = ({ file, tcp }: LoggingBackend): string | undefined =>
  tcp?.address === undefined ? file?.path : undefined;

/** The backends that rules log to, each once and by name: what a policy is called makes no difference. */
export function backendsOf(rules: readonly LogRule[], mesh: Mesh): readonly LoggingBackend[] {
  const found = new Map<string, LoggingBackend>();
  for (const rule of rules) {
    const backend = backendOf(rule, mesh);
    if (backend !== undefined) found.set(backend.name ?? "", backend);
  }
  return [...found.values()].sort((a, b) => ((a.name ?? "") < (b.name ?? "") ? -1 : 1));
}
