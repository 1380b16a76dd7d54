import type { LoggingBackend, Mesh } from "./mesh.js";

/**
 * Where a rule's lines go; undefined when it names no backend of the mesh, nor has the mesh a default one: then nothing
 * is logged.
 */
export function backendOf(wanted: string | undefined, { logging }: Mesh): LoggingBackend | undefined {
  const name = wanted || (logging?.defaultBackend ?? "");
  return name === "" ? undefined : logging?.backends?.find((backend) => backend.name === name);
}

/** The file on the dataplane's machine that a backend logs to; undefined for one that logs elsewhere. */
export const loggedFile = ({ file, tcp }: LoggingBackend): string | undefined =>
  tcp?.address === undefined ? file?.path : undefined;

/** The backends that rules log to, each once and by name: what a policy is called makes no difference. */
export function backendsOf(
  rules: readonly { readonly conf: { readonly backend?: string } | undefined }[],
  mesh: Mesh,
): readonly LoggingBackend[] {
  const found = new Map<string, LoggingBackend>();
  for (const { conf } of rules) {
    const backend = backendOf(conf?.backend, mesh);
    if (backend !== undefined) found.set(backend.name ?? "", backend);
  }
  return [...found.values()].sort((a, b) => ((a.name ?? "") < (b.name ?? "") ? -1 : 1));
}
