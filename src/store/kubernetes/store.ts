import type { KubeClient } from "../../kubeapi/client.js";
import { KubeError } from "../../kubeapi/error.js";
import type { KubeObject } from "../../kubeapi/object.js";
import { sleep } from "../../lib/deadline.js";
import { inLanes } from "../../lib/lanes.js";
import type { Resource, ResourceType } from "../../resources/resource.js";
import type { Mirror } from "../mirror.js";
import { assertMesh, type Key, type Store, type Stored, StoreError, type StoreErrorKind } from "../store.js";
import type { Version } from "../version.js";
import type { ObjectPlace } from "./naming.js";
import type { ObjectKind } from "./object-kind.js";
import { partsOf } from "./object-version.js";
import type { Watches } from "./watches.js";

interface StoreParts {
  readonly client: KubeClient;
  readonly kinds: ReadonlyMap<string, ObjectKind>;
  readonly mirror: Mirror;
  readonly watches: Watches;
  /** A write that users don't see. @throws KubeError */
  readonly rehearse: () => Promise<void>;
  readonly close: () => Promise<void>;
}

/** How long a read waits for the API server before it returns the last known state, in milliseconds. */
const patienceMs = 2_000;
/** Requests that one call makes at a time. */
const atOnce = 8;
/** From how many keys of one type a list costs less than reading each. */
const listFrom = 16;

const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);
const byName = (a: Stored, b: Stored) => compare(a.mesh, b.mesh) || compare(a.name, b.name);

/** The refusal of a write as the error of a store; undefined for one that no caller expects. */
function refusalOf(error: unknown, statuses: Readonly<Record<number, StoreErrorKind>>): StoreErrorKind | undefined {
  if (!(error instanceof KubeError)) return undefined;
  // Not allowed, or not allowed yet: permissions may be about to be applied, a namespace may be going away.
  if (error.temporary || error.status === 401 || error.status === 403) return "unavailable";
  return statuses[error.status];
}

/**
 * Creates the store over the API server, with a mirror that the watches keep. Reads ask the API server, so that they see
 * what kubectl wrote a moment ago; lists of one type at the same time share one request.
 */
export function createStore({ client, kinds, mirror, watches, rehearse, close }: StoreParts): Store {
  const listing = new Map<ObjectKind, { running: Promise<readonly Stored[]>; next?: Promise<readonly Stored[]> }>();

  /** What the API server has; what the mirror has, while the server is lost or too slow. */
  async function fresh<T>(read: () => Promise<T>, known: () => T): Promise<T> {
    if (watches.lost !== undefined) return known();
    const enough = new AbortController();
    const late = sleep(patienceMs, enough.signal).then(known, known);
    const answer = read().catch((error: unknown) => {
      if (error instanceof KubeError) return known();
      throw error;
    });
    return Promise.race([answer, late]).finally(() => enough.abort());
  }

  async function write(
    key: Key,
    statuses: Readonly<Record<number, StoreErrorKind>>,
    request: (kind: ObjectKind, place: ObjectPlace) => Promise<KubeObject>,
  ): Promise<Stored> {
    const kind = kinds.get(key.type);
    const place = kind?.placeOf(key.name);
    if (kind === undefined || place === undefined) throw new Error(`no object can be ${key.type} "${key.name}"`);
    if (watches.lost !== undefined) throw new StoreError("unavailable", key, watches.lost);
    let object: KubeObject;
    try {
      object = await request(kind, place);
    } catch (error) {
      const refusal = refusalOf(error, statuses);
      throw refusal === undefined ? error : new StoreError(refusal, key, error);
    }
    const stored = watches.read(kind, object);
    if (stored === undefined) throw new Error(`${key.type} "${key.name}" can't be read after it was written`);
    await watches.seen(kind, stored);
    return stored;
  }

  const create = (resource: Resource) =>
    // 404: the namespace does not exist yet.
    write(resource, { 409: "already-exists", 404: "unavailable" }, (kind, place) =>
      client.create(kind.collectionAt(place), kind.write(resource, place)),
    );

  async function update(resource: Resource, version: Version): Promise<Stored> {
    const parts = partsOf(version);
    if (parts === undefined) throw new StoreError("conflict", resource);
    const { uid, resourceVersion } = parts;
    return write(resource, { 409: "conflict", 404: "conflict" }, (kind, place) =>
      client.patch(kind.collectionAt(place), place.name, "json", [
        // A patch that sets these is refused unless they are the stored ones.
        { op: "add", path: "/metadata/uid", value: uid },
        { op: "add", path: "/metadata/resourceVersion", value: resourceVersion },
        ...kind.replacement(resource),
      ]),
    );
  }

  async function readOne(key: Key): Promise<Stored | undefined> {
    const kind = kinds.get(key.type);
    const place = kind?.placeOf(key.name);
    if (kind === undefined || place === undefined) return undefined;
    return fresh(
      async () => {
        const object = await client.get(kind.collectionAt(place), place.name);
        const stored = object === undefined ? undefined : watches.read(kind, object);
        return stored?.mesh === key.mesh ? stored : undefined;
      },
      () => mirror.get(key),
    );
  }

  async function request(kind: ObjectKind): Promise<readonly Stored[]> {
    const { fieldSelector, collection } = kind;
    const { items } = await client.list(collection, fieldSelector === undefined ? {} : { fieldSelector });
    return items.flatMap((object) => watches.read(kind, object) ?? []).sort(byName);
  }

  /** A list that began after the call, shared by all who call while another is running. */
  function listOf(kind: ObjectKind): Promise<readonly Stored[]> {
    const current = listing.get(kind);
    if (current !== undefined) {
      current.next ??= current.running.then(
        () => listOf(kind),
        () => listOf(kind),
      );
      return current.next;
    }
    const running = request(kind).finally(() => listing.delete(kind));
    listing.set(kind, { running });
    return running;
  }

  const listed = (kind: ObjectKind) =>
    fresh(
      () => listOf(kind),
      () => mirror.list(kind.type),
    );

  async function remove(key: Key): Promise<void> {
    const kind = kinds.get(key.type);
    const place = kind?.placeOf(key.name);
    if (kind === undefined || place === undefined) throw new StoreError("not-found", key);
    if (watches.lost !== undefined) throw new StoreError("unavailable", key, watches.lost);
    const collection = kind.collectionAt(place);
    try {
      const object = await client.get(collection, place.name);
      if (object === undefined || watches.read(kind, object)?.mesh !== key.mesh) throw new StoreError("not-found", key);
      const { uid } = object.metadata;
      // Only the one that was looked at: by now there may be one of another mesh.
      await client.delete(collection, place.name, uid === undefined ? {} : { uid });
    } catch (error) {
      const refusal = refusalOf(error, { 404: "not-found", 409: "not-found" });
      throw refusal === undefined ? error : new StoreError(refusal, key, error);
    }
    await watches.gone(kind, key);
  }

  async function getAll(keys: readonly Key[]): Promise<readonly Stored[]> {
    const byType = Map.groupBy(keys, ({ type }) => type);
    const found = [...byType].map(async ([type, wanted]) => {
      const kind = kinds.get(type);
      if (kind === undefined || wanted.length < listFrom) return inLanes(wanted, atOnce, readOne);
      const places = new Set(wanted.map(({ mesh, name }) => `${mesh}\n${name}`));
      return (await listed(kind)).filter(({ mesh, name }) => places.has(`${mesh}\n${name}`));
    });
    return (await Promise.all(found)).flat().filter((stored) => stored !== undefined);
  }

  return {
    get available() {
      return watches.lost === undefined;
    },
    get: readOne,
    getAll,
    async list<Spec>({ name }: ResourceType<Spec>, mesh?: string) {
      const kind = kinds.get(name);
      const all = kind === undefined ? [] : await listed(kind);
      // A store only holds specs in the form of their type.
      return (mesh === undefined ? all : all.filter((stored) => stored.mesh === mesh)) as readonly Stored<Spec>[];
    },
    create,
    update,
    writeAll: (writes) =>
      inLanes(writes, atOnce, async ({ resource, version }) => {
        try {
          return await (version === undefined ? create(resource) : update(resource, version));
        } catch (error) {
          if (error instanceof StoreError && error.kind !== "unavailable") return error;
          throw error;
        }
      }),
    delete: remove,
    async deleteMesh(mesh) {
      assertMesh(mesh);
      const ignoreAbsence = (error: unknown) => {
        if (!(error instanceof StoreError && error.kind === "not-found")) throw error;
      };
      await remove({ type: "Mesh", mesh, name: mesh }).catch(ignoreAbsence);
      const members = await Promise.all([...kinds.values()].map(listed));
      const gone = members.flat().filter((stored) => stored.mesh === mesh && stored.type !== "Mesh");
      await inLanes(gone, atOnce, (stored) => remove(stored).catch(ignoreAbsence));
    },
    async tryWrite() {
      try {
        await rehearse();
      } catch (error) {
        if (!(error instanceof KubeError)) throw error;
        throw new StoreError("unavailable", { type: "Lease", mesh: "", name: "write-test" }, error);
      }
    },
    changes: (signal) => mirror.changes(signal),
    close,
  };
}
