import { backoff, sleep } from "../lib/deadline.js";
import type { Logger } from "../lib/logger.js";
import type { Change } from "../store/store.js";
import { apply, emptyView, type Touched, type TouchedMeshes } from "../view/apply.js";
import type { View } from "../view/mesh-view.js";
import { noPolicies, type Policies } from "../view/policies.js";
import { type Coalescer, createCoalescer } from "./coalesce.js";

/** Called per mesh with what a burst of changes touched. The view already includes the changes. */
export type ViewListener = (mesh: string, touched: Touched) => void;

/** The view of all meshes, kept up to date from the store's change feed, and the listeners for its changes. */
export interface ViewFeed {
  view(): View;
  /** False from a failure of the feed until the next listing: during that time the view is stale. */
  current(): boolean;
  /** Calls the listener for each change from now on. Returns a function that unsubscribes it. */
  listen(listener: ViewListener): () => void;
  close(): void;
}

export interface ViewFeedOptions {
  /** Opens the store's feed, which begins with a listing. The view is its only reader. */
  readonly changes: (signal: AbortSignal) => AsyncIterable<Change>;
  /** Called for each failure of the feed after its first listing. */
  readonly failed?: () => void;
  /** Delay from a failure to the next listing, in milliseconds: the first and the longest one. */
  readonly retryMs?: { readonly first: number; readonly max: number };
  readonly logger: Logger;
  /** The longest time that changes are coalesced before the listeners are called. */
  readonly coalesceMaxMs: number;
  /** The policy tables of an empty mesh. Default: those of all policy types. */
  readonly policies?: Policies;
}

const quietMs = 10;

/**
 * Follows the change feed. Resolves once its first listing has been applied: no proxy may be served from an empty
 * view. If the feed fails later, it is opened again; until it has been listed, proxies keep their configuration.
 * @throws the error of the first listing
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

  /** Waits until the time has passed or the feed is closed. */
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
        // A feed that lists successfully and then fails at the next change, every time, must not be listed ten times a
        // second.
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
