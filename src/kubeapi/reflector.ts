import { backoff, sleep } from "../lib/deadline.js";
import { messageOf } from "../lib/errors.js";
import type { Logger } from "../lib/logger.js";
import type { KubeClient, Selection } from "./client.js";
import { type Collection, collectionText } from "./collection.js";
import { hasStatus, KubeError } from "./error.js";
import { kubeLimits } from "./limits.js";
import type { KubeObject } from "./object.js";

/** How a reflector stands with the API server. */
export type ReflectorState =
  /** Nothing was listed yet. `error` is why the last attempt failed. */
  | { readonly kind: "starting"; readonly error?: KubeError }
  /** What was handed over is current. */
  | { readonly kind: "synced" }
  /** The connection broke, and changes may be missed until it is back. `since` is of `now`. */
  | { readonly kind: "lost"; readonly since: number; readonly error: KubeError };

export interface ReflectOptions extends Selection {
  /** Ends it. */
  readonly signal: AbortSignal;
  readonly logger: Logger;
  /** Everything that exists now: what is not among it was deleted. The first call, and again whenever changes were missed. */
  listed(items: readonly KubeObject[], resourceVersion: string): void;
  /** One change after that. A deleted object comes in its last state. */
  changed(type: "ADDED" | "MODIFIED" | "DELETED", object: KubeObject): void;
  /** Called at each transition. */
  state?(state: ReflectorState): void;
  readonly silenceMs?: number;
  /** The first delay of the back-off, in milliseconds. */
  readonly firstRetryMs?: number;
  readonly now?: () => number;
  /** Waits before the next attempt; may resolve early, when the API server is known to be back. Rejects on abort. */
  readonly pause?: (milliseconds: number, signal: AbortSignal) => Promise<void>;
}

/** A watch that stays open for this long has recovered: the back-off starts from its first delay again. */
const steadyMs = 10_000;

/**
 * Lists a collection and watches it until the signal fires; errors are logged and attempted again after 1 to 30 s. A
 * watch that the server ends goes on where it was; after an error, also 410 for a version whose history is gone,
 * everything is listed again. Resolves once the signal has fired, and never rejects.
 */
export async function reflect(client: KubeClient, collection: Collection, options: ReflectOptions): Promise<void> {
  const { signal, logger, labelSelector, fieldSelector, silenceMs } = options;
  const { now = () => performance.now(), pause = sleep } = options;
  const selection = {
    ...(labelSelector === undefined ? {} : { labelSelector }),
    ...(fieldSelector === undefined ? {} : { fieldSelector }),
  };
  const what = collectionText(collection);
  const delays = backoff({ first: options.firstRetryMs ?? kubeLimits.firstRetryMs, max: kubeLimits.longestRetryMs });
  let state: ReflectorState = { kind: "starting" };
  /** Undefined: list first. */
  let version: string | undefined;

  function become(next: ReflectorState): void {
    if (next.kind === "synced" && state.kind === "synced") return;
    if (next.kind === "synced" && state.kind === "lost") logger.info(`watching again: ${what}`);
    state = next;
    options.state?.(next);
  }

  function failed(error: KubeError): void {
    if (state.kind === "synced") logger.error(`lost the watch of ${what}`, { reason: error.message });
    else logger.debug(`still no watch of ${what}`, { reason: error.message });
    if (state.kind === "starting") become({ kind: "starting", error });
    else become({ kind: "lost", since: state.kind === "lost" ? state.since : now(), error });
  }

  async function list(): Promise<string> {
    const { items, resourceVersion } = await client.list(collection, { ...selection, signal });
    options.listed(items, resourceVersion);
    become({ kind: "synced" });
    return resourceVersion;
  }

  async function follow(from: string): Promise<void> {
    const watching = { ...selection, resourceVersion: from, signal, ...(silenceMs === undefined ? {} : { silenceMs }) };
    for await (const event of client.watch(collection, watching)) {
      if (event.type === "BOOKMARK") version = event.resourceVersion;
      else {
        version = event.object.metadata.resourceVersion ?? version;
        options.changed(event.type, event.object);
      }
      become({ kind: "synced" });
    }
  }

  /** A callback has thrown. A watch that ended for that would never be noticed. */
  function bug(error: unknown): KubeError {
    logger.error(`a change of ${what} was not handled`, { error });
    return new KubeError(0, messageOf(error), { cause: error });
  }

  while (!signal.aborted) {
    const began = now();
    let least = 0;
    try {
      version ??= await list();
      await follow(version);
    } catch (error) {
      if (signal.aborted) return;
      // Whatever the reason: only a list tells what was deleted while nobody watched.
      version = undefined;
      const known = error instanceof KubeError ? error : bug(error);
      least = Math.min(known.retryAfterMs ?? 0, kubeLimits.longestRetryMs);
      if (hasStatus(known, 410) && now() - began >= steadyMs) {
        logger.info(`listing ${what} again: the API server has no history since the last event`);
        delays.reset();
        continue;
      }
      failed(known);
    }
    // Also after a regular end: a server that ends each watch at once must not be asked in a tight loop.
    const steady = now() - began >= steadyMs;
    if (steady) delays.reset();
    if (steady && version !== undefined) continue;
    await pause(Math.max(delays.next(), least), signal).catch(() => {});
  }
}
