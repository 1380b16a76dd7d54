import { UserError } from "../lib/errors.js";
import { nearest } from "../lib/suggest.js";
import { visible } from "../lib/visible.js";
import { readEnvelope } from "../resources/envelope.js";
import { meshType } from "../resources/mesh.js";
import { type ApiClient, collectionPath } from "./api-client.js";

/**
 * Makes sure that there is a mesh: the API lists the resources of one that doesn't exist as none at all.
 * @throws UserError `mesh.unknown` that names the nearest one; never when it can't be told, as for who may not list meshes
 */
export async function requireMesh(client: ApiClient, name: string): Promise<void> {
  const meshes = await client.list(collectionPath(meshType, "")).catch(() => undefined);
  const names = meshes?.map((mesh) => readEnvelope(mesh).name ?? "") ?? [name];
  if (names.includes(name)) return;
  const meant = nearest(name, names);
  const hint =
    meant === undefined ? "`kumactl get meshes` lists those that exist" : `did you mean "${visible(meant)}"?`;
  throw UserError.of("mesh.unknown", { mesh: name, hint });
}
