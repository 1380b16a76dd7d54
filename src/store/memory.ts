import type { Registry } from "../resources/registry.js";
import type { Resource } from "../resources/resource.js";
import { type Change, type Key, type Store, type Stored, StoreError } from "./store.js";

interface Watcher {
  readonly queue: Change[];
  wake: (() => void) | undefined;
}

const text = (key: Key) => `${key.type}\n${key.mesh}\n${key.name}`;

/** Freezes what is handed out, so that a reader can keep it without copying. */
function frozen<T>(value: T): T {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return value;
  for (const member of Object.values(value)) frozen(member);
  return Object.freeze(value);
}

/** Keeps resources in this process, in insertion order; they are lost when it ends. */
export function createMemoryStore(registry: Registry): Store {
  const resources = new Map<string, Stored>();
  const watchers = new Set<Watcher>();
  let sequence = 0;
  let closed = false;

  const feeds = (type: string) => registry.byName(type)?.feeds ?? false;

  function announce(change: Change, type: string): void {
    if (!feeds(type)) return;
    for (const watcher of watchers) {
      watcher.queue.push(change);
      watcher.wake?.();
    }
  }

  function put(resource: Resource, version: number): Stored {
    const { type, mesh, name } = resource;
    const stored: Stored = Object.freeze({ type, mesh, name, spec: frozen(structuredClone(resource.spec)), version });
    resources.set(text(resource), stored);
    sequence += 1;
    announce({ kind: "put", sequence, resource: stored }, type);
    return stored;
  }

  function remove(stored: Stored): void {
    const { type, mesh, name, version } = stored;
    resources.delete(text(stored));
    sequence += 1;
    announce({ kind: "delete", sequence, key: { type, mesh, name }, version }, type);
  }

  async function* changes(signal: AbortSignal): AsyncGenerator<Change> {
    const watcher: Watcher = { queue: [], wake: undefined };
    watchers.add(watcher);
    const stop = () => watcher.wake?.();
    signal.addEventListener("abort", stop);
    try {
      const listing = [...resources.values()].filter((stored) => feeds(stored.type));
      yield { kind: "listing", sequence, resources: listing };
      while (!signal.aborted && !closed) {
        const change = watcher.queue.shift();
        if (change !== undefined) yield change;
        else {
          await new Promise<void>((resolve) => {
            watcher.wake = resolve;
          });
          watcher.wake = undefined;
        }
      }
    } finally {
      signal.removeEventListener("abort", stop);
      watchers.delete(watcher);
    }
  }

  return {
    async get(key) {
      return resources.get(text(key));
    },
    async list(type, mesh) {
      return [...resources.values()].filter(
        (stored) => stored.type === type && (mesh === undefined || stored.mesh === mesh),
      );
    },
    async create(resource) {
      if (resources.has(text(resource))) throw new StoreError("already-exists", resource);
      return put(resource, 1);
    },
    async update(resource, version) {
      if (resources.get(text(resource))?.version !== version) throw new StoreError("conflict", resource);
      return put(resource, version + 1);
    },
    async delete(key) {
      const stored = resources.get(text(key));
      if (stored === undefined) throw new StoreError("not-found", key);
      remove(stored);
    },
    async deleteMesh(mesh) {
      const gone = [...resources.values()].filter((stored) => stored.mesh === mesh);
      for (const stored of gone.sort((a, b) => Number(b.type === "Mesh") - Number(a.type === "Mesh"))) remove(stored);
    },
    changes,
    async close() {
      closed = true;
      for (const watcher of watchers) watcher.wake?.();
    },
  };
}
