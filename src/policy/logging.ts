import type { LoggingBackend, Mesh } from "../resources/mesh.js";
import type { LogRule } from "./matching.js";

/** Where a rule's lines go; undefined when it names no backend of the mesh, nor has the mesh a default one: then nothing is logged. */
export function backendOf({ backend }: LogRule, { logging }: Mesh): LoggingBackend | undefined {
  const wanted = backend ?? logging?.defaultBackend ?? "";
  return wanted === "" ? undefined : logging?.backends?.find(({ name }) => name === wanted);
}
