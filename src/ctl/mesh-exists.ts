import { UserError } from "../lib/errors.js";
import { nearest } from "../lib/suggest.js";
import { readEnvelope } from "../resources/envelope.js";
import { meshType } from "../resources/mesh.js";
import { type ApiClient, collectionPath } from "./api-client.js";

/**
 * Makes sure that there is a mesh: the API lists the resources of one that doesn't exist as none at all.
 * @throws UserError `mesh.unknown` that names the nearest one; what keeps the API from telling is no such error
 */
export async function requireMesh(client: ApiClient, name: string): Promise<void> {
  const found = await client.find(meshType, name, name).catch((error: unknown) => {
    // Who may not read meshes is not to be told that there is none.
    if (error instanceof UserError && error.id === "api.refused") return {};
    throw error;
  });
  if (found !== undefined) return;
  const names = (await client.list(collectionPath(meshType, ""))).map((mesh) => readEnvelope(mesh).name ?? "");
  const meant = nearest(name, names);
  const hint = meant === undefined ? "`kumactl get meshes` lists those that exist" : `did you mean "${meant}"?`;
  throw new UserError("mesh.unknown", `there is no mesh "${name}"; ${hint}`);
}
