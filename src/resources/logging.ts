import type { LoggingBackend, Mesh } from "./mesh.js";

/**
 * The backend that a rule logs to; undefined if the mesh has no such backend, or no default one: then nothing is
 * logged.
 */
export function backendOf(wanted: string | undefined, { logging }: Mesh): LoggingBackend | undefined {
  const name = wanted || (logging?.defaultBackend ?? "");
  return name === "" ? undefined : logging?.backends?.find((backend) => backend.name === name);
}

/** The file on the dataplane's machine that a backend logs to; undefined for other backends. */
export const loggedFile = ({ file, tcp }: LoggingBackend): string | undefined =>
  tcp?.address === undefined ? file?.path : undefined;

/** The backends that rules log to, without duplicates, sorted by name so that names of policies make no difference. */
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
