import type { Authorities, ReadState } from "../identity/authorities.js";
import {
  type AuthorityDocument,
  beginRotation,
  encodeDocument,
  retireRoots,
  switchSigning,
  withLife,
} from "../identity/authority-document.js";
import type { KeyType } from "../identity/key-pair.js";
import { createRoot } from "../identity/root.js";
import type { Logger } from "../lib/logger.js";
import type { Secret } from "../resources/secret.js";
import { type Store, type Stored, StoreError } from "../store/store.js";
import type { MeshView } from "../view/mesh-view.js";
import { realTimers, type Timers } from "../xds/coalesce.js";
import type { ViewFeed } from "../xds/feed.js";
import type { SecretServer } from "../xds/secret-server.js";
import { bundleVersion } from "../xds/secret-stream.js";

/** How a mesh's certificate authority is, as the API and kumactl show it. */
export interface AuthorityStatus {
  readonly mesh: string;
  /** `active` without a rotation; `unusable` when it is missing or can't be read. */
  readonly state: "active" | "distributing" | "retiring" | "unusable";
  /** Why it is unusable. */
  readonly reason?: string;
  readonly roots: readonly {
    readonly serial: string;
    /** SHA-256. */
    readonly fingerprint: string;
    readonly notBefore: string;
    readonly notAfter: string;
    readonly signing: boolean;
  }[];
  /** While distributing: the connected dataplanes that do not trust the new root yet. */
  readonly waitingFor?: readonly string[];
  /** While retiring: when the last certificate of an old root is dead, and the old roots go. */
  readonly retiresAt?: string;
}

/** Who is connected by the aggregated stream. */
interface Connections {
  connected(mesh: string): readonly string[];
}

export interface RotationOptions {
  readonly store: Store;
  readonly feed: ViewFeed;
  readonly authorities: Authorities;
  readonly secrets: Pick<SecretServer, "proxies" | "onChange">;
  readonly connections: Connections;
  readonly keyType: KeyType;
  /** How long certificates live, in milliseconds. */
  readonly lifeMs: number;
  readonly instanceId: string;
  readonly logger: Logger;
  readonly timers?: Timers;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
}

/** Rotates the certificate authorities of meshes, each step when its condition holds. */
export interface Rotations {
  status(mesh: string): AuthorityStatus | undefined;
  list(): readonly AuthorityStatus[];
  /**
   * Begins a rotation unless one is under way; undefined when there is no such mesh.
   * @throws StoreError `conflict` when somebody else wrote the authority meanwhile
   */
  rotate(mesh: string): Promise<{ readonly begun: boolean; readonly status: AuthorityStatus } | undefined>;
  /** The proxy's last stream ended; it may only be reconnecting. */
  left(mesh: string, name: string): void;
  close(): void;
}

type Ready = Extract<ReadState, { kind: "ready" }>;

/** Envoy is back within 30 s of losing its stream: who left less than this ago still counts as connected. */
const reconnectMs = 60_000;
/** No timer runs longer, so that a machine that slept notices soon. */
const longestTimerMs = 3_600_000;
const gatheringMs = 20;

export function createRotations(options: RotationOptions): Rotations {
  const { store, feed, authorities, secrets, connections, keyType, lifeMs, instanceId, logger } = options;
  const timers = options.timers ?? realTimers;
  const now = options.now ?? Date.now;
  const startedAt = now();
  /** Proxies that left lately, by mesh: their names and when that was, the longest ago first. */
  const leavers = new Map<string, Map<string, number>>();
  const looks = new Map<string, unknown>();
  const soon = new Map<string, unknown>();
  const writing = new Set<string>();
  let closed = false;

  function look(mesh: string, afterMs: number): void {
    if (closed) return;
    timers.clear(looks.get(mesh));
    const timer = timers.set(() => evaluate(mesh), Math.min(Math.max(afterMs, 0), longestTimerMs));
    looks.set(mesh, timer);
  }

  /** Proxies that count as connected: those with a stream, and those that may be about to come back. */
  function present(mesh: MeshView): Set<string> {
    const names = new Set([...connections.connected(mesh.name), ...secrets.proxies(mesh.name).keys()]);
    for (const [name, at] of leavers.get(mesh.name) ?? []) if (now() - at < reconnectMs) names.add(name);
    return names;
  }

  /** Proxies take a new root at about the same time: one look is enough for all of them. */
  function lookSoon(mesh: string): void {
    if (closed || soon.has(mesh)) return;
    const timer = timers.set(() => {
      soon.delete(mesh);
      evaluate(mesh);
    }, gatheringMs);
    soon.set(mesh, timer);
  }

  /** The proxies that would refuse a peer with a certificate of the newest root. */
  function untrusting(mesh: MeshView, state: Ready): string[] {
    if (mesh.mesh?.spec.mtls?.enabled !== true) return [];
    const version = bundleVersion(state);
    const known = secrets.proxies(mesh.name);
    return [...present(mesh)]
      .filter((name) => mesh.proxies.has(name))
      .filter((name) => {
        const trusted = known.get(name)?.trusted ?? [];
        return trusted.length === 0 || trusted.some((has) => has !== version);
      })
      .sort();
  }

  async function write(mesh: MeshView, document: AuthorityDocument, done: string): Promise<void> {
    const stored = mesh.authority;
    if (stored === undefined || writing.has(mesh.name)) return;
    writing.add(mesh.name);
    try {
      await store.update({ ...stored, spec: { value: encodeDocument(document) } satisfies Secret }, stored.version);
      logger.info(done, { mesh: mesh.name });
    } catch (error) {
      // Somebody else wrote it: what the view shows then is looked at anew.
      if (!(error instanceof StoreError)) logger.error("a rotation could not go on", { mesh: mesh.name, error });
      look(mesh.name, 1_000);
    } finally {
      writing.delete(mesh.name);
    }
  }

  /** Takes a mesh's rotation one step further when that step's condition holds. */
  function evaluate(name: string): void {
    const mesh = feed.view().get(name);
    if (closed || mesh === undefined) return;
    const state = authorities.authority(mesh);
    if (state.kind !== "ready") return;
    const { document } = state;
    const { rotation } = document;
    if (rotation === undefined) {
      const longer = withLife(document, lifeMs);
      if (longer !== undefined) void write(mesh, longer, "certificates live longer from now on");
      return;
    }
    if (rotation.state === "retiring") {
      const left = Date.parse(rotation.until) - now();
      if (left > 0) look(name, left);
      else
        void write(mesh, retireRoots(document), "the certificate authority's rotation is done: the old root is gone");
      return;
    }
    // Who began the rotation knows who was connected; anyone else has to wait until they had time to come.
    const watched = rotation.by === instanceId ? reconnectMs : now() - startedAt;
    if (watched < reconnectMs) {
      look(name, reconnectMs - watched);
      return;
    }
    if (untrusting(mesh, state).length === 0) {
      const switched = switchSigning(document, lifeMs, new Date(now()));
      void write(mesh, switched, "every dataplane trusts the new root, which signs from now on");
    } else look(name, reconnectMs);
  }

  const time = (date: Date) => date.toISOString().replace(".000Z", "Z");

  function ready(mesh: MeshView, state: Ready): AuthorityStatus {
    const { authority, document } = state;
    const { rotation } = document;
    const signing = authority.roots[0];
    const common = {
      mesh: mesh.name,
      roots: authority.roots.map((root) => ({
        serial: root.serial,
        fingerprint: root.fingerprint,
        notBefore: time(root.notBefore),
        notAfter: time(root.notAfter),
        signing: root === signing,
      })),
    };
    switch (rotation?.state) {
      case undefined:
        return { ...common, state: "active" };
      case "distributing":
        return { ...common, state: rotation.state, waitingFor: untrusting(mesh, state) };
      case "retiring":
        return { ...common, state: rotation.state, retiresAt: rotation.until };
    }
  }

  function statusOf(mesh: MeshView): AuthorityStatus {
    const state = authorities.authority(mesh);
    if (state.kind === "ready") return ready(mesh, state);
    return { mesh: mesh.name, state: "unusable", reason: state.reason, roots: [] };
  }

  /** The view follows the store a moment later; the answer to a rotation has to show it at once. */
  const shown = (mesh: MeshView, authority: Stored): MeshView => ({
    ...mesh,
    authority: authority as Stored<Secret>,
  });

  const unlisten = feed.listen((mesh, touched) => {
    if (touched.authority || touched.mesh || touched.proxies.size > 0) evaluate(mesh);
  });
  secrets.onChange((mesh) => {
    const view = feed.view().get(mesh);
    if (view === undefined) return;
    const state = authorities.authority(view);
    if (state.kind === "ready" && state.document.rotation?.state === "distributing") lookSoon(mesh);
  });
  for (const mesh of feed.view().keys()) evaluate(mesh);

  return {
    status(name) {
      const mesh = feed.view().get(name);
      return mesh?.mesh === undefined ? undefined : statusOf(mesh);
    },
    list: () =>
      [...feed.view().values()]
        .filter(({ mesh }) => mesh !== undefined)
        .map(statusOf)
        .sort((a, b) => (a.mesh < b.mesh ? -1 : 1)),
    async rotate(name) {
      const mesh = feed.view().get(name);
      if (mesh?.mesh === undefined) return undefined;
      const state = authorities.authority(mesh);
      const { authority: stored } = mesh;
      if (state.kind !== "ready" || stored === undefined || state.document.rotation !== undefined) {
        return { begun: false, status: statusOf(mesh) };
      }
      const begun = new Date(now());
      const root = await createRoot({ mesh: name, keyType, now: begun });
      const document = beginRotation(state.document, root, instanceId, begun);
      const spec: Secret = { value: encodeDocument(document) };
      const written = await store.update({ ...stored, spec }, stored.version);
      logger.info("the rotation of a certificate authority has begun", { mesh: name });
      return { begun: true, status: statusOf(shown(mesh, written)) };
    },
    left(mesh, name) {
      const at = now();
      const left = leavers.get(mesh) ?? new Map<string, number>();
      leavers.set(mesh, left);
      left.delete(name);
      left.set(name, at);
      for (const [longest, since] of left) {
        if (at - since < reconnectMs) break;
        left.delete(longest);
      }
    },
    close() {
      closed = true;
      unlisten();
      for (const timer of [...looks.values(), ...soon.values()]) timers.clear(timer);
    },
  };
}
