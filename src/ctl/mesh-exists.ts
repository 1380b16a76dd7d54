import { UserError } from "../lib/errors.js";
import { nearest } from "../lib/suggest.js";
import { visible } from "../lib/visible.js";
import { readEnvelope } from "../resources/envelope.js";
import { meshType } from "../resources/mesh.js";
import { type ApiClient, collectionPath } from "./api-client.js";

/**
 * Checks that the mesh exists, because the API returns an empty list for the resources of a missing one.
 * @throws UserError `mesh.unknown` that suggests the nearest name; not when the meshes can't be listed, for example
 * because the user may not
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
