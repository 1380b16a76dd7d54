import type { Registry } from "../resources/registry.js";
import type { Resource } from "../resources/resource.js";
import { frozenCopy } from "./frozen.js";
import { aloneOnStore } from "./instances.js";
import { storeKind } from "./kind.js";
import { alwaysLeads } from "./leadership.js";
import { createMirror } from "./mirror.js";
import { assertMesh, type Key, type Store, type Stored, StoreError } from "./store.js";
import { tokenOf, type Version, versionOf } from "./version.js";

/** Keeps resources in memory, in insertion order; they are lost when the process ends. */
export function createMemoryStore(registry: Registry): Store {
  const mirror = createMirror(registry, "creation");

  function put(resource: Resource, number: number): Stored {
    const { type, mesh, name, spec } = resource;
    const stored: Stored = Object.freeze({ type, mesh, name, spec: frozenCopy(spec), version: versionOf(number) });
    mirror.apply({ kind: "put", sequence: mirror.sequence + 1, resource: stored });
    return stored;
  }

  function remove({ type, mesh, name }: Stored): void {
    mirror.apply({ kind: "delete", sequence: mirror.sequence + 1, key: { type, mesh, name } });
  }

  function write(resource: Resource, version: Version | undefined): Stored {
    const present = mirror.get(resource);
    if (version === undefined && present !== undefined) throw new StoreError("already-exists", resource);
    if (version !== undefined && present?.version !== version) throw new StoreError("conflict", resource);
    // The version was created here, so it is a number.
    return put(resource, version === undefined ? 1 : (tokenOf(version) as number) + 1);
  }

  return {
    available: true,
    get: async (key: Key) => mirror.get(key),
    getAll: async (keys) => keys.flatMap((key) => mirror.get(key) ?? []),
    list: async (type, mesh) => mirror.list(type, mesh),
    create: async (resource) => write(resource, undefined),
    update: async (resource, version) => write(resource, version),
    async writeAll(writes) {
      return writes.map(({ resource, version }) => {
        try {
          return write(resource, version);
        } catch (error) {
          if (error instanceof StoreError) return error;
          throw error;
        }
      });
    },
    async delete(key) {
      const stored = mirror.get(key);
      if (stored === undefined) throw new StoreError("not-found", key);
      remove(stored);
    },
    async deleteMesh(mesh) {
      assertMesh(mesh);
      const gone = registry.types.flatMap((type) => mirror.list(type, mesh));
      for (const stored of gone.sort((a, b) => Number(b.type === "Mesh") - Number(a.type === "Mesh"))) remove(stored);
    },
    async tryWrite() {},
    changes: (signal) => mirror.changes(signal),
    async close() {
      mirror.close();
    },
  };
}

/** Resources in the memory of the process. */
export const memoryKind = storeKind({
  name: "memory",
  settings: {},
  notice: "the memory store loses everything when this process ends",
  open: async (_settings, { registry, instanceId }) => ({
    store: createMemoryStore(registry),
    instances: aloneOnStore(instanceId),
    leadership: alwaysLeads,
  }),
});
