import type { KubeClient } from "../../kubeapi/client.js";
import type { KubeError } from "../../kubeapi/error.js";
import type { KubeObject } from "../../kubeapi/object.js";
import { type ReflectorState, reflect } from "../../kubeapi/reflector.js";
import { backoff, sleep } from "../../lib/deadline.js";
import type { Logger } from "../../lib/logger.js";
import type { SkippedObject } from "../kind.js";
import type { Mirror } from "../mirror.js";
import type { Key, Stored } from "../store.js";
import type { Version } from "../version.js";
import type { ObjectKind } from "./object-kind.js";
import { versionOfObject } from "./object-version.js";

interface WatchesOptions {
  readonly client: KubeClient;
  readonly kinds: readonly ObjectKind[];
  readonly mirror: Mirror;
  readonly logger: Logger;
  readonly silenceMs?: number;
}

/** Reads objects of all kinds, and keeps the mirror of those that are watched. */
export interface Watches {
  /** Resolves once every kind was listed. Rejects when the signal fires. */
  listed(signal: AbortSignal): Promise<void>;
  /** Why the mirror is stale; undefined while it is current, or was a moment ago. */
  readonly lost: KubeError | undefined;
  /** Reads an object; undefined if it can't be read. That, and what is invalid, is logged once for each version. */
  read(kind: ObjectKind, object: KubeObject): Stored | undefined;
  /** Resolves once the mirror has this version of an object, or a newer one; for own writes. Waits for a second at most. */
  seen(kind: ObjectKind, resource: Stored): Promise<void>;
  /** The same for a deletion. */
  gone(kind: ObjectKind, key: Key): Promise<void>;
  skipped(): readonly SkippedObject[];
  close(): Promise<void>;
}

/** A watch that is replaced at once is no reason to become unready. */
const graceMs = 5_000;
/** How long a write waits for its own event, in milliseconds. */
const echoMs = 1_000;
/** How often the API server is asked whether it is back. */
const probe = { first: 1_000, max: 4_000 };

interface Waiting {
  readonly isDone: (stored: Stored | undefined) => boolean;
  readonly resolve: () => void;
}

/** Sleeps that all end early at `wake`. */
function createPauses() {
  let alarm = new AbortController();
  return {
    async pause(milliseconds: number, signal: AbortSignal): Promise<void> {
      await sleep(milliseconds, AbortSignal.any([alarm.signal, signal])).catch((error: unknown) => {
        if (signal.aborted) throw error;
      });
    },
    wake() {
      alarm.abort();
      alarm = new AbortController();
    },
  };
}

/** More say little more. */
const shownCauses = 3;

/** Why the webhook would refuse the resource; it was down then, or is of another version. */
function problemOf({ type }: ObjectKind, { spec }: Stored): string | undefined {
  if (type.access !== "full") return undefined;
  const causes = type.validate(spec).slice(0, shownCauses);
  return causes.length === 0 ? undefined : causes.map(({ field, message }) => `${field}: ${message}`).join("; ");
}

export function startWatches({ client, kinds, mirror, logger, silenceMs }: WatchesOptions): Watches {
  const stopping = new AbortController();
  const { signal } = stopping;
  const pauses = createPauses();
  const states = new Map<ObjectKind, ReflectorState>();
  /** The mesh of each known object, by type and name: an object may be moved to another mesh. */
  const meshes = new Map<string, string>();
  const skippedObjects = new Map<string, SkippedObject & { readonly version: Version | undefined }>();
  const waiting = new Map<string, Set<Waiting>>();
  const listeners = new Set<() => void>();
  let probing = false;

  const placeText = (kind: ObjectKind, name: string) => `${kind.type.name}\n${name}`;

  function settle(kind: ObjectKind, name: string, stored: Stored | undefined): void {
    const place = placeText(kind, name);
    for (const one of waiting.get(place) ?? []) if (one.isDone(stored)) one.resolve();
  }

  function remove(kind: ObjectKind, name: string): void {
    const place = placeText(kind, name);
    const mesh = meshes.get(place);
    skippedObjects.delete(place);
    if (mesh !== undefined) {
      meshes.delete(place);
      mirror.apply({ kind: "delete", sequence: mirror.sequence + 1, key: { type: kind.type.name, mesh, name } });
    }
    settle(kind, name, undefined);
  }

  function put(kind: ObjectKind, stored: Stored): void {
    const { name, mesh } = stored;
    const place = placeText(kind, name);
    const before = meshes.get(place);
    if (before !== undefined && before !== mesh) remove(kind, name);
    meshes.set(place, mesh);
    if (mirror.get(stored)?.version !== stored.version) {
      mirror.apply({ kind: "put", sequence: mirror.sequence + 1, resource: stored });
    }
    settle(kind, name, stored);
  }

  /** Remembers the object, and logs it once for each of its versions. */
  function tell(kind: ObjectKind, object: KubeObject, effect: SkippedObject["effect"], reason: string): void {
    const place = placeText(kind, kind.nameOf(object));
    const { name, namespace, uid, resourceVersion } = object.metadata;
    const version = versionOfObject(object);
    const type = kind.type.name;
    if (skippedObjects.get(place)?.version !== version || version === undefined) {
      const event = effect === "none" ? "an object is skipped" : "an object is invalid, and has effect where it is not";
      logger.error(event, { type, name, namespace, resourceVersion, reason });
    }
    skippedObjects.set(place, { type, name, namespace, uid, effect, reason, version });
  }

  function read(kind: ObjectKind, object: KubeObject): Stored | undefined {
    const result = kind.read(object);
    if (result.kind === "unreadable") {
      tell(kind, object, "none", result.reason);
      return undefined;
    }
    const problem = problemOf(kind, result.resource);
    if (problem === undefined) skippedObjects.delete(placeText(kind, kind.nameOf(object)));
    else tell(kind, object, "partial", problem);
    return result.resource;
  }

  /** An object that can't be read any more keeps its last readable state: what proxies have must not break by a typo. */
  function take(kind: ObjectKind, object: KubeObject): void {
    const stored = read(kind, object);
    if (stored !== undefined) put(kind, stored);
  }

  function listedAnew(kind: ObjectKind, items: readonly KubeObject[]): void {
    const present = new Set(items.map((object) => kind.nameOf(object)));
    const prefix = placeText(kind, "");
    for (const place of [...meshes.keys(), ...skippedObjects.keys()]) {
      const name = place.slice(prefix.length);
      if (place.startsWith(prefix) && !present.has(name)) remove(kind, name);
    }
    for (const object of items) take(kind, object);
    // What happened between the last event and the list is only known by its result.
    for (const [place, pending] of waiting) {
      if (place.startsWith(prefix)) for (const { resolve } of pending) resolve();
    }
  }

  const isLost = (state: ReflectorState | undefined): state is ReflectorState & { readonly kind: "lost" } =>
    state?.kind === "lost";

  /** Asks a lost API server whether it is back, so that no watch waits for the end of a long back-off. */
  async function probeUntilBack(): Promise<void> {
    if (probing) return;
    probing = true;
    const delays = backoff(probe);
    try {
      while (!signal.aborted && [...states.values()].some(isLost)) {
        await sleep(delays.next(), signal);
        const isBack = await client.request("GET", "/version", undefined, signal).then(
          () => true,
          () => false,
        );
        if (isBack) pauses.wake();
      }
    } catch {
      // Only the signal ends the sleep, and with it everything here.
    } finally {
      probing = false;
    }
  }

  function changed(kind: ObjectKind, state: ReflectorState): void {
    states.set(kind, state);
    if (state.kind === "lost") void probeUntilBack();
    for (const listener of listeners) listener();
  }

  const running = kinds
    .filter(({ type }) => type.feeds)
    .map((kind) => {
      states.set(kind, { kind: "starting" });
      return reflect(client, kind.collection, {
        ...(kind.fieldSelector === undefined ? {} : { fieldSelector: kind.fieldSelector }),
        ...(silenceMs === undefined ? {} : { silenceMs }),
        signal,
        logger,
        listed: (items) => listedAnew(kind, items),
        changed: (type, object) => (type === "DELETED" ? remove(kind, kind.nameOf(object)) : take(kind, object)),
        state: (state) => changed(kind, state),
        pause: pauses.pause,
      });
    });

  const isListed = () => [...states.values()].every(({ kind }) => kind !== "starting");

  /** Waits until an event of the object fulfils the condition. */
  async function until(kind: ObjectKind, name: string, isDone: Waiting["isDone"], now: Stored | undefined) {
    if (!kind.type.feeds || isDone(now) || states.get(kind)?.kind !== "synced") return;
    const place = placeText(kind, name);
    const pending = waiting.get(place) ?? new Set<Waiting>();
    waiting.set(place, pending);
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, echoMs);
    const one = { isDone, resolve };
    pending.add(one);
    await promise;
    clearTimeout(timer);
    pending.delete(one);
    if (pending.size === 0) waiting.delete(place);
  }

  return {
    async listed(aborted) {
      while (!isListed()) {
        await new Promise<void>((resolve, reject) => {
          const check = () => {
            listeners.delete(check);
            aborted.removeEventListener("abort", check);
            if (aborted.aborted) reject(aborted.reason);
            else resolve();
          };
          listeners.add(check);
          aborted.addEventListener("abort", check);
        });
      }
    },
    get lost() {
      const now = performance.now();
      return [...states.values()].filter(isLost).find(({ since }) => now - since >= graceMs)?.error;
    },
    read,
    seen: (kind, resource) =>
      until(kind, resource.name, (stored) => stored?.version === resource.version, mirror.get(resource)),
    gone: (kind, key) => until(kind, key.name, (stored) => stored === undefined, mirror.get(key)),
    skipped: () => [...skippedObjects.values()].map(({ version: _, ...object }) => object),
    async close() {
      stopping.abort();
      for (const pending of waiting.values()) for (const { resolve } of pending) resolve();
      await Promise.all(running);
    },
  };
}
