import type { ViewFeed } from "../feed/feed.js";
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
import { realTimers, type Timers } from "../lib/timers.js";
import { type DataplaneInsight, dataplaneInsightType } from "../resources/dataplane-insight.js";
import { mtlsEnabled } from "../resources/mesh.js";
import type { Secret } from "../resources/secret.js";
import { type Store, type Stored, StoreError } from "../store/store.js";
import type { MeshView } from "../view/mesh-view.js";
import { bundleVersion } from "../xds/secrets/stream.js";

/** The status of a mesh's certificate authority, as the API and kumactl show it. */
export interface AuthorityStatus {
  readonly mesh: string;
  /** `active` without a rotation; `unusable` if it is missing or unreadable. */
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
  /** While distributing: connected dataplanes that do not trust the new root yet. */
  readonly waitingFor?: readonly string[];
  /** While retiring: when the last certificate of an old root expires, and the old roots are removed. */
  readonly retiresAt?: string;
}

export interface RotationOptions {
  readonly store: Store;
  readonly feed: ViewFeed;
  readonly authorities: Authorities;
  readonly keyType: KeyType;
  /** Validity of certificates, in milliseconds. */
  readonly validityMs: number;
  readonly logger: Logger;
  /** How far insights may lag behind, in milliseconds: a rotation waits at least this long. */
  readonly insightsLagMs?: number;
  readonly timers?: Timers;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
}

/** Rotates the certificate authorities of meshes, each step once its condition holds. */
export interface Rotations {
  status(mesh: string): Promise<AuthorityStatus | undefined>;
  list(): Promise<readonly AuthorityStatus[]>;
  /**
   * Begins a rotation unless one is in progress; undefined if there is no such mesh.
   * @throws StoreError `conflict` if the authority was written concurrently
   */
  rotate(mesh: string): Promise<{ readonly begun: boolean; readonly status: AuthorityStatus } | undefined>;
  /** Takes the rotations that are under way further, each as soon as it can, until `close`. */
  start(): void;
  close(): void;
}

type Ready = Extract<ReadState, { kind: "ready" }>;

/**
 * Envoy reconnects within 30 s of losing its stream: a proxy that disconnected less than this ago counts as connected.
 */
const reconnectMs = 60_000;
/** Maximum timer, so that a machine that was suspended notices soon. */
const longestTimerMs = 3_600_000;
/**
 * How often a rotation that waits for proxies reads their insights: they may be connected to any control plane that
 * shares the store, and insights are not in the change feed.
 */
const lookMs = 1_000;

export function createRotations(options: RotationOptions): Rotations {
  const { store, feed, authorities, keyType, validityMs, logger, insightsLagMs = 0 } = options;
  const timers = options.timers ?? realTimers;
  const now = options.now ?? Date.now;
  const looks = new Map<string, unknown>();
  const busy = new Set<string>();
  /** Meshes whose timer fired while they were busy, to be checked afterwards. */
  const again = new Set<string>();
  let closed = false;
  let unlisten = () => {};

  function look(mesh: string, afterMs: number): void {
    if (closed) return;
    timers.clear(looks.get(mesh));
    const timer = timers.set(() => evaluate(mesh), Math.min(Math.max(afterMs, 0), longestTimerMs));
    looks.set(mesh, timer);
  }

  /** Whether a proxy has a stream to any control plane, or may be about to reconnect. */
  function isConnected({ subscriptions = [] }: DataplaneInsight): boolean {
    return subscriptions.some(
      ({ disconnectTime }) => disconnectTime === undefined || now() - Date.parse(disconnectTime) < reconnectMs,
    );
  }

  /** The proxies that would reject a peer certificate of the newest root. */
  async function untrusting(mesh: MeshView, state: Ready): Promise<string[]> {
    if (!mtlsEnabled(mesh.resource?.spec)) return [];
    const version = bundleVersion(state);
    const insights = await store.list(dataplaneInsightType, mesh.name);
    return insights
      .filter(({ name, spec }) => mesh.proxies.has(name) && isConnected(spec) && spec.mTLS?.trustedRoots !== version)
      .map(({ name }) => name)
      .sort();
  }

  async function write(mesh: MeshView, document: AuthorityDocument, done: string): Promise<void> {
    const stored = mesh.authority;
    if (stored === undefined) return;
    try {
      await store.update({ ...stored, spec: { value: encodeDocument(document) } satisfies Secret }, stored.version);
      logger.info(done, { mesh: mesh.name });
    } catch (error) {
      // It was written concurrently: check the new state in the view later.
      if (!(error instanceof StoreError)) throw error;
      look(mesh.name, lookMs);
    }
  }

  /** Advances a mesh's rotation by one step if that step's condition holds. */
  async function step(mesh: MeshView, state: Ready): Promise<void> {
    const { document } = state;
    const { rotation } = document;
    if (rotation === undefined) {
      const longer = withLife(document, validityMs);
      if (longer !== undefined) await write(mesh, longer, "certificates live longer from now on");
      return;
    }
    if (rotation.state === "retiring") {
      const left = Date.parse(rotation.until) - now();
      if (left > 0) look(mesh.name, left);
      else
        await write(mesh, retireRoots(document), "the certificate authority's rotation is done: the old root is gone");
      return;
    }
    const behind = (Date.parse(rotation.since) || 0) + insightsLagMs - now();
    if (behind > 0 || (await untrusting(mesh, state)).length > 0) {
      look(mesh.name, Math.max(behind, lookMs));
      return;
    }
    const switched = switchSigning(document, validityMs, new Date(now()));
    await write(mesh, switched, "every dataplane trusts the new root, which signs from now on");
  }

  function evaluate(name: string): void {
    const mesh = feed.view().get(name);
    if (closed || mesh === undefined) return;
    if (busy.has(name)) {
      again.add(name);
      return;
    }
    const state = authorities.authority(mesh);
    if (state.kind !== "ready") return;
    busy.add(name);
    step(mesh, state)
      .catch((error: unknown) => {
        logger.error("a rotation failed; it will be retried", { mesh: name, error });
        look(name, lookMs);
      })
      .finally(() => {
        busy.delete(name);
        if (again.delete(name)) evaluate(name);
      });
  }

  const time = (date: Date) => date.toISOString().replace(".000Z", "Z");

  async function ready(mesh: MeshView, state: Ready): Promise<AuthorityStatus> {
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
        return { ...common, state: rotation.state, waitingFor: await untrusting(mesh, state) };
      case "retiring":
        return { ...common, state: rotation.state, retiresAt: rotation.until };
    }
  }

  async function statusOf(mesh: MeshView): Promise<AuthorityStatus> {
    const state = authorities.authority(mesh);
    if (state.kind === "ready") return ready(mesh, state);
    return { mesh: mesh.name, state: "unusable", reason: state.reason, roots: [] };
  }

  /** The view follows the store with a delay; the response to a rotation must show it at once. */
  const shown = (mesh: MeshView, authority: Stored): MeshView => ({
    ...mesh,
    authority: authority as Stored<Secret>,
  });

  return {
    async status(name) {
      const mesh = feed.view().get(name);
      return mesh?.resource === undefined ? undefined : statusOf(mesh);
    },
    async list() {
      const meshes = [...feed.view().values()].filter(({ resource }) => resource !== undefined);
      const all = await Promise.all(meshes.map(statusOf));
      return all.sort((a, b) => (a.mesh < b.mesh ? -1 : 1));
    },
    async rotate(name) {
      const mesh = feed.view().get(name);
      if (mesh?.resource === undefined) return undefined;
      const state = authorities.authority(mesh);
      const { authority: stored } = mesh;
      if (state.kind !== "ready" || stored === undefined || state.document.rotation !== undefined) {
        return { begun: false, status: await statusOf(mesh) };
      }
      const begun = new Date(now());
      const root = await createRoot({ mesh: name, keyType, now: begun });
      const document = beginRotation(state.document, root, begun);
      const spec: Secret = { value: encodeDocument(document) };
      const written = await store.update({ ...stored, spec }, stored.version);
      logger.info("the rotation of a certificate authority has begun", { mesh: name });
      return { begun: true, status: await statusOf(shown(mesh, written)) };
    },
    start() {
      unlisten = feed.listen((mesh, touched) => {
        if (touched.authority || touched.mesh || touched.proxies.size > 0) evaluate(mesh);
      });
      for (const mesh of feed.view().keys()) evaluate(mesh);
    },
    close() {
      closed = true;
      unlisten();
      for (const timer of looks.values()) timers.clear(timer);
    },
  };
}
