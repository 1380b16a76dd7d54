import type { Mesh } from "../resources/mesh.js";
import { type Store, StoreError } from "../store/store.js";
import type { MeshAuthorities } from "./api/endpoint.js";

/** Creates the Mesh "default" with its certificate authority unless it exists; another instance may create it first. */
export async function ensureDefaultMesh(store: Store, spec: Mesh, authorities: MeshAuthorities): Promise<void> {
  const key = { type: "Mesh", mesh: "default", name: "default" };
  if ((await store.get(key)) !== undefined) return;
  await authorities.ensure(key.name);
  await store.create({ ...key, spec }).catch((error: unknown) => {
    if (!(error instanceof StoreError && error.kind === "already-exists")) throw error;
  });
}
