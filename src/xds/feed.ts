import type { Logger } from "../lib/logger.js";
import type { Change } from "../store/store.js";
import { apply, emptyView, type Touched, type TouchedMeshes } from "../view/apply.js";
import type { View } from "../view/mesh-view.js";
import { type Coalescer, createCoalescer } from "./coalesce.js";

/** Hears, for one mesh, what a burst of changes touched; the view already shows it. */
export type ViewListener = (mesh: string, touched: Touched) => void;

/** The picture of all meshes, kept up with the store's change feed, and who wants to hear of changes. */
export interface ViewFeed {
  view(): View;
  /** Calls the listener for each change from now on; returns how to end that. */
  listen(listener: ViewListener): () => void;
  close(): void;
}

export interface ViewFeedOptions {
  /** The store's feed; this is its only reader. */
  readonly changes: AsyncIterable<Change>;
  readonly logger: Logger;
  /** Longest time that a burst of changes is gathered before anyone hears of it. */
  readonly coalesceMaxMs: number;
}

const quietMs = 10;

/**
 * Follows the change feed. Resolves once its first listing has been applied: nobody may be served from an empty
 * picture.
 */
export async function followChanges({ changes, logger, coalesceMaxMs }: ViewFeedOptions): Promise<ViewFeed> {
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

  const feed = changes[Symbol.asyncIterator]();
  const listing = await feed.next();
  if (listing.done === true) throw new Error("the change feed ended before its first listing");
  view = apply(view, listing.value, touched);
  touched.clear();

  async function follow(): Promise<void> {
    for (let next = await feed.next(); next.done !== true; next = await feed.next()) {
      view = apply(view, next.value, touched);
      announce();
    }
  }
  follow().catch((error: unknown) => logger.error("the change feed broke; proxies keep what they have", { error }));

  return {
    view: () => view,
    listen(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    close() {
      listeners.clear();
      for (const coalescer of coalescers.values()) coalescer.cancel();
    },
  };
}
