import type { Mesh } from "../resources/mesh.js";
import { type Store, StoreError } from "../store/store.js";

/** Creates the Mesh "default" unless there is one; another instance that creates it first is as good. */
export async function ensureDefaultMesh(store: Store, spec: Mesh): Promise<void> {
  const key = { type: "Mesh", mesh: "default", name: "default" };
  if ((await store.get(key)) !== undefined) return;
  await store.create({ ...key, spec }).catch((error: unknown) => {
    if (!(error instanceof StoreError && error.kind === "already-exists")) throw error;
  });
}
