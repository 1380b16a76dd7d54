import { createHash } from "node:crypto";
import { str } from "../../src/lib/settings.js";
import { aloneOnStore } from "../../src/store/instances.js";
import { storeKind } from "../../src/store/kind.js";
import { alwaysLeads } from "../../src/store/leadership.js";
import { createMemoryStore } from "../../src/store/memory.js";
import type { Change, Key, Store, Stored, Write } from "../../src/store/store.js";
import { StoreError } from "../../src/store/store.js";
import { tokenOf, type Version, versionOf } from "../../src/store/version.js";

/** A memory store whose versions are strings in no order, like those of Kubernetes: `LABEL-3f2a…`. */
function withTextVersions(inner: Store, label: string): Store {
  const known = new WeakMap<Stored, Stored>();

  function outward<Spec>(stored: Stored<Spec>): Stored<Spec> {
    let shown = known.get(stored);
    if (shown === undefined) {
      const { type, mesh, name, version } = stored;
      const hash = createHash("sha256")
        .update(`${type} ${mesh} ${name} ${tokenOf(version)}`)
        .digest("hex");
      shown = Object.freeze({ ...stored, version: versionOf(`${label}-${hash.slice(0, 16)}`) });
      known.set(stored, shown);
    }
    return shown as Stored<Spec>;
  }

  /** Maps a version to the inner store's; a version that is not current maps to one that the inner store never has. */
  async function inward(key: Key, version: Version): Promise<Version> {
    const present = await inner.get(key);
    return present !== undefined && outward(present).version === version ? present.version : versionOf("stale");
  }

  const write = async ({ resource, version }: Write): Promise<Write> => ({
    resource,
    version: version && (await inward(resource, version)),
  });

  function announced(change: Change): Change {
    if (change.kind === "listing") return { ...change, resources: change.resources.map(outward) };
    return change.kind === "put" ? { ...change, resource: outward(change.resource) } : change;
  }

  return {
    ...inner,
    async get(key) {
      const stored = await inner.get(key);
      return stored && outward(stored);
    },
    getAll: async (keys) => (await inner.getAll(keys)).map(outward),
    list: async (type, mesh) => (await inner.list(type, mesh)).map(outward),
    create: async (resource) => outward(await inner.create(resource)),
    update: async (resource, version) => outward(await inner.update(resource, await inward(resource, version))),
    async writeAll(writes) {
      const outcomes = await inner.writeAll(await Promise.all(writes.map(write)));
      return outcomes.map((outcome) => (outcome instanceof StoreError ? outcome : outward(outcome)));
    },
    async *changes(signal) {
      for await (const change of inner.changes(signal)) yield announced(change);
    },
  };
}

/** The opened stores by label. */
export const opened = new Map<string, Store>();

/** A store kind that the program does not have, added as a contributor would: this file and a line in a list. */
export const sandboxKind = storeKind({
  name: "sandbox",
  settings: {
    sandboxLabel: {
      path: "store.sandbox.label",
      env: ["KUMA_STORE_SANDBOX_LABEL"],
      default: "sand",
      parse: str,
      sentence: "What the versions of resources begin with.",
    },
  },
  contradictions: ({ sandboxLabel }) =>
    sandboxLabel === "" ? ["KUMA_STORE_SANDBOX_LABEL is empty, but has to be a word"] : [],
  async open({ sandboxLabel }, { registry, instanceId }) {
    const store = withTextVersions(createMemoryStore(registry), sandboxLabel);
    opened.set(sandboxLabel, store);
    return { store, instances: aloneOnStore(instanceId), leadership: alwaysLeads };
  },
});
