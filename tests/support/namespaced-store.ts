import { registry } from "../../src/resources/registry.js";
import type { OpenedStore } from "../../src/store/kind.js";
import { type Change, type Key, type Store, StoreError } from "../../src/store/store.js";

/** Whether names of this type end in a namespace. */
const isNamespaced = (type: string) => registry.byName(type)?.kubernetes?.scope === "Namespaced";

/** On Kubernetes two objects of one name need two namespaces: here each mesh has one, of its own name. */
const outward = <T extends Key>(key: T): T =>
  isNamespaced(key.type) ? { ...key, name: `${key.name}.${key.mesh}` } : key;

function inward<T extends Key>(key: T): T {
  const suffix = `.${key.mesh}`;
  if (!isNamespaced(key.type) || !key.name.endsWith(suffix)) return key;
  return { ...key, name: key.name.slice(0, -suffix.length) };
}

function changeInward(change: Change): Change {
  switch (change.kind) {
    case "listing":
      return { ...change, resources: change.resources.map(inward) };
    case "put":
      return { ...change, resource: inward(change.resource) };
    case "delete":
      return { ...change, key: inward(change.key) };
  }
}

/** A store in the Kubernetes API that takes and returns names without namespaces. */
export function withoutNamespaces(opened: OpenedStore): OpenedStore {
  const { store } = opened;
  const adapted: Store = {
    get available() {
      return store.available;
    },
    async get(key) {
      const stored = await store.get(outward(key));
      return stored && inward(stored);
    },
    getAll: async (keys) => (await store.getAll(keys.map(outward))).map(inward),
    list: async (type, mesh) => (await store.list(type, mesh)).map(inward),
    create: async (resource) => inward(await store.create(outward(resource))),
    update: async (resource, version) => inward(await store.update(outward(resource), version)),
    async writeAll(writes) {
      const outcomes = await store.writeAll(writes.map((write) => ({ ...write, resource: outward(write.resource) })));
      return outcomes.map((outcome) => (outcome instanceof StoreError ? outcome : inward(outcome)));
    },
    delete: (key) => store.delete(outward(key)),
    deleteMesh: (mesh) => store.deleteMesh(mesh),
    tryWrite: () => store.tryWrite(),
    async *changes(signal) {
      for await (const change of store.changes(signal)) yield changeInward(change);
    },
    close: () => store.close(),
  };
  return { ...opened, store: adapted };
}
