import type { KubeClient } from "../../kubeapi/client.js";
import type { Collection } from "../../kubeapi/collection.js";
import { hasStatus } from "../../kubeapi/error.js";
import type { KubeObject } from "../../kubeapi/object.js";
import { meshLabel, secretCollection } from "../../store/kubernetes/naming.js";
import { controllerOf, customObjects, meshOf } from "../custom-objects.js";

interface Options {
  readonly client: Pick<KubeClient, "get" | "list" | "delete">;
  readonly systemNamespace: string;
  /** The plurals of all types that belong to a mesh. */
  readonly plurals: readonly string[];
}

/**
 * Deletes what belonged to a mesh that is gone: its Secrets, and its resources in all namespaces. Dataplanes of pods
 * stay: as long as their pods live they would be made again at once. Each object is deleted only if it was there before
 * the mesh was seen to be gone, and by its uid, so that nothing of a new mesh of the same name is lost.
 * @returns how many objects were deleted; undefined if the mesh exists
 * @throws KubeError
 */
export function createMeshCleanup({ client, systemNamespace, plurals }: Options) {
  const meshes = customObjects("meshes");

  async function deleteAll(collection: Collection, objects: readonly KubeObject[]): Promise<number> {
    let deleted = 0;
    for (const { metadata } of objects) {
      const { namespace, name, uid } = metadata;
      const place = namespace === undefined ? collection : { ...collection, namespace };
      try {
        await client.delete(place, name, uid === undefined ? {} : { uid });
        deleted += 1;
      } catch (error) {
        // Gone, or another object by now.
        if (!hasStatus(error, 404) && !hasStatus(error, 409)) throw error;
      }
    }
    return deleted;
  }

  return async (mesh: string): Promise<number | undefined> => {
    const secrets = secretCollection(systemNamespace);
    const collections: (readonly [Collection, () => Promise<readonly KubeObject[]>])[] = [
      [secrets, async () => (await client.list(secrets, { labelSelector: `${meshLabel}=${mesh}` })).items],
      ...plurals.map((plural) => {
        const collection = customObjects(plural);
        const ofMesh = async () =>
          (await client.list(collection)).items.filter(
            (object) => meshOf(object) === mesh && controllerOf(object)?.kind !== "Pod",
          );
        return [collection, ofMesh] as const;
      }),
    ];
    let deleted = 0;
    for (const [collection, list] of collections) {
      const found = await list();
      if ((await client.get(meshes, mesh)) !== undefined) return undefined;
      deleted += await deleteAll(collection, found);
    }
    return deleted;
  };
}
