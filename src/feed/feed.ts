import { backoff, sleep } from "../lib/deadline.js";
import type { Logger } from "../lib/logger.js";
import type { Change } from "../store/store.js";
import { apply, emptyView, type Touched, type TouchedMeshes } from "../view/apply.js";
import type { View } from "../view/mesh-view.js";
import { noPolicies, type Policies } from "../view/policies.js";
import { type Coalescer, createCoalescer } from "./coalesce.js";

/** Hears, for one mesh, what a burst of changes touched; the view already shows it. */
export type ViewListener = (mesh: string, touched: Touched) => void;

/** The picture of all meshes, kept up with the store's change feed, and who wants to hear of changes. */
export interface ViewFeed {
  view(): View;
  /** False from a failure of the feed until the next listing: the view is older than the store meanwhile. */
  current(): boolean;
  /** Calls the listener for each change from now on; returns how to end that. */
  listen(listener: ViewListener): () => void;
  close(): void;
}

export interface ViewFeedOptions {
  /** Opens the store's feed, which begins with a listing; this is its only reader. */
  readonly changes: (signal: AbortSignal) => AsyncIterable<Change>;
  /** Told of each failure of the feed after its first listing. */
  readonly failed?: () => void;
  /** Milliseconds from a failure to the next listing: at first, and at most. */
  readonly retryMs?: { readonly first: number; readonly max: number };
  readonly logger: Logger;
  /** Longest time that a burst of changes is gathered before anyone hears of it. */
  readonly coalesceMaxMs: number;
  /** The tables of a mesh without policies, when they are not those of all types. */
  readonly policies?: Policies;
}

const quietMs = 10;

/**
 * Follows the change feed. Resolves once its first listing has been applied: nobody may be served from an empty
 * picture. A feed that fails later is opened again, and proxies keep what they have until it is listed.
 * @throws what the first listing throws
 */
export async function startViewFeed(options: ViewFeedOptions): Promise<ViewFeed> {
  const { changes, failed, logger, coalesceMaxMs, retryMs = { first: 100, max: 30_000 } } = options;
  const { policies = noPolicies } = options;
  const listeners = new Set<ViewListener>();
  const touched: TouchedMeshes = new Map();
  const coalescers = new Map<string, Coalescer>();
  let view: View = emptyView;

  function flush(mesh: string): void {
    coalescers.delete(mesh);
    const concerned = touched.get(mesh);
    touched.delete(mesh);
    if (concerned === undefined) return;
    for (const listener of listeners) {
      try {
        listener(mesh, concerned);
      } catch (error) {
        logger.error("a change was not taken in everywhere", { mesh, error });
      }
    }
  }

  function announce(): void {
    for (const mesh of touched.keys()) {
      let coalescer = coalescers.get(mesh);
      if (coalescer === undefined) {
        coalescer = createCoalescer({ quietMs, maxMs: coalesceMaxMs, flush: () => flush(mesh) });
        coalescers.set(mesh, coalescer);
      }
      coalescer.poke();
    }
  }

  const stopping = new AbortController();
  const { signal } = stopping;
  let current = true;

  const first = changes(signal)[Symbol.asyncIterator]();
  const listing = await first.next();
  if (listing.done === true) throw new Error("the change feed ended before its first listing");
  view = apply(view, listing.value, touched, policies);
  touched.clear();

  /** Applies changes until the feed ends. */
  async function follow(feed: AsyncIterator<Change>, applied: () => void): Promise<void> {
    try {
      for (let next = await feed.next(); next.done !== true; next = await feed.next()) {
        view = apply(view, next.value, touched, policies);
        applied();
        announce();
      }
    } finally {
      await feed.return?.();
    }
  }

  /** Waits for so long, or until the feed is closed. */
  const pause = (milliseconds: number) => sleep(milliseconds, signal).catch(() => signal.aborted);

  async function keepFollowing(): Promise<void> {
    const waits = backoff(retryMs);
    for (let feed = first; ; feed = changes(signal)[Symbol.asyncIterator]()) {
      const openedAt = performance.now();
      try {
        await follow(feed, () => {
          if (!current) logger.info("the change feed was listed again");
          current = true;
        });
        if (signal.aborted) return;
        throw new Error("the change feed ended");
      } catch (error) {
        if (signal.aborted) return;
        current = false;
        failed?.();
        // One that is listed and fails at the next change, each time, must not be listed ten times a second.
        if (performance.now() - openedAt > retryMs.max) waits.reset();
        const inMs = Math.round(waits.next());
        logger.error("the change feed failed; proxies keep what they have until it is listed again", { error, inMs });
        await pause(inMs);
      }
      if (signal.aborted) return;
    }
  }
  void keepFollowing();

  return {
    view: () => view,
    current: () => current,
    listen(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    close() {
      stopping.abort();
      listeners.clear();
      for (const coalescer of coalescers.values()) coalescer.cancel();
    },
  };
}
