import { type Store, StoreError } from "../../store/store.js";
import type { Metrics } from "./metrics.js";

/** The type label for operations on several types. */
const several = "several";

const typeOf = (all: readonly { readonly type: string }[]): string => {
  const types = new Set(all.map(({ type }) => type));
  const [only] = types;
  return types.size === 1 && only !== undefined ? only : several;
};

type Told = Pick<Metrics, "storeOperation" | "storeConflict">;

/** Wraps a store to measure its operations. */
export function measuredStore(store: Store, metrics: Told): Store {
  async function timed<T>(operation: string, type: string, work: () => Promise<T>): Promise<T> {
    const begun = performance.now();
    try {
      return await work();
    } catch (error) {
      if (error instanceof StoreError && error.kind === "conflict") metrics.storeConflict(type);
      throw error;
    } finally {
      metrics.storeOperation(operation, type, performance.now() - begun);
    }
  }

  return {
    get available() {
      return store.available;
    },
    get: (key) => timed("get", key.type, () => store.get(key)),
    getAll: (keys) => timed("get", typeOf(keys), () => store.getAll(keys)),
    list: (type, mesh) => timed("list", type.name, () => store.list(type, mesh)),
    create: (resource) => timed("create", resource.type, () => store.create(resource)),
    update: (resource, version) => timed("update", resource.type, () => store.update(resource, version)),
    async writeAll(writes) {
      const type = typeOf(writes.map(({ resource }) => resource));
      const outcomes = await timed("write", type, () => store.writeAll(writes));
      for (const [index, outcome] of outcomes.entries()) {
        if (outcome instanceof StoreError && outcome.kind === "conflict")
          metrics.storeConflict(writes[index]?.resource.type ?? type);
      }
      return outcomes;
    },
    delete: (key) => timed("delete", key.type, () => store.delete(key)),
    deleteMesh: (mesh) => timed("delete", several, () => store.deleteMesh(mesh)),
    tryWrite: () => timed("try", several, () => store.tryWrite()),
    changes: (signal) => store.changes(signal),
    close: () => store.close(),
  };
}
