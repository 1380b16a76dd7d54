import type { ResourceType } from "../resources/resource.js";
import type { Key, Store, Stored } from "./store.js";

/**
 * Reads one resource, with its spec typed by the resource type; undefined if it does not exist. Throws the store's
 * errors.
 */
export const readStored = <Spec>(
  store: Pick<Store, "get">,
  { name: type }: ResourceType<Spec>,
  { mesh, name }: Omit<Key, "type">,
): Promise<Stored<Spec> | undefined> =>
  // Stores only have specs that the schema of their type has read.
  store.get({ type, mesh, name }) as Promise<Stored<Spec> | undefined>;
