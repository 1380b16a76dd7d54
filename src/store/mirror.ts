import type { Registry } from "../resources/registry.js";
import type { ResourceType } from "../resources/resource.js";
import type { Change, Key, Stored } from "./store.js";

interface Watcher {
  readonly queue: Change[];
  wake: (() => void) | undefined;
}

/**
 * An in-memory copy of a store. It serves reads immediately, even while the backend is unavailable, and forwards each
 * applied change to all watchers.
 */
export interface Mirror {
  /** Sequence number of the last change. */
  readonly sequence: number;
  get(key: Key): Stored | undefined;
  list<Spec>(type: ResourceType<Spec>, mesh?: string): readonly Stored<Spec>[];
  /** Applies a change and sends it to the watchers, unless its type is excluded from the feed. */
  apply(change: Change): void;
  /** The feed from now on, starting with a full listing. */
  changes(signal: AbortSignal): AsyncGenerator<Change>;
  /** Ends every feed. */
  close(): void;
}

const place = ({ mesh, name }: Key) => `${mesh}\n${name}`;
const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);
const byName = (a: Stored, b: Stored) => compare(a.mesh, b.mesh) || compare(a.name, b.name);

/** @param order of lists: insertion order, or by mesh and name */
export function createMirror(registry: Registry, order: "creation" | "name"): Mirror {
  const types = new Map<string, Map<string, Stored>>();
  /** Cached lists by type and mesh; a change of a resource drops the lists of its type. */
  const lists = new Map<string, Map<string | undefined, readonly Stored[]>>();
  const watchers = new Set<Watcher>();
  let sequence = 0;
  let closed = false;

  const feeds = (type: string) => registry.byName(type)?.feeds ?? false;

  function ofType(type: string): Map<string, Stored> {
    let resources = types.get(type);
    if (resources === undefined) {
      resources = new Map();
      types.set(type, resources);
    }
    return resources;
  }

  function put(stored: Stored): void {
    lists.delete(stored.type);
    ofType(stored.type).set(place(stored), stored);
  }

  /** Applies the change; true if watchers must receive it. */
  function take(change: Change): boolean {
    switch (change.kind) {
      case "listing":
        for (const type of types.keys()) {
          if (!feeds(type)) continue;
          types.delete(type);
          lists.delete(type);
        }
        change.resources.forEach(put);
        return true;
      case "put":
        put(change.resource);
        return feeds(change.resource.type);
      case "delete":
        lists.delete(change.key.type);
        types.get(change.key.type)?.delete(place(change.key));
        return feeds(change.key.type);
    }
  }

  function listing(): Change {
    const resources = [...types].flatMap(([type, members]) => (feeds(type) ? [...members.values()] : []));
    return { kind: "listing", sequence, resources };
  }

  return {
    get sequence() {
      return sequence;
    },
    get: (key) => types.get(key.type)?.get(place(key)),
    list<Spec>({ name: type }: ResourceType<Spec>, mesh?: string) {
      let known = lists.get(type);
      if (known === undefined) {
        known = new Map();
        lists.set(type, known);
      }
      let members = known.get(mesh);
      if (members === undefined) {
        members = [...(types.get(type)?.values() ?? [])].filter((stored) => mesh === undefined || stored.mesh === mesh);
        if (order === "name") members = [...members].sort(byName);
        known.set(mesh, members);
      }
      // A store only holds specs in the form of their type.
      return members as readonly Stored<Spec>[];
    },
    apply(change) {
      sequence = change.sequence;
      if (!take(change)) return;
      for (const watcher of watchers) {
        watcher.queue.push(change);
        watcher.wake?.();
      }
    },
    async *changes(signal) {
      const watcher: Watcher = { queue: [], wake: undefined };
      watchers.add(watcher);
      const stop = () => watcher.wake?.();
      signal.addEventListener("abort", stop);
      try {
        yield listing();
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
    },
    close() {
      closed = true;
      for (const watcher of watchers) watcher.wake?.();
    },
  };
}
