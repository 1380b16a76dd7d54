import type { KubeClient } from "../../kubeapi/client.js";
import type { Collection } from "../../kubeapi/collection.js";
import type { KubeObject } from "../../kubeapi/object.js";
import { reflect } from "../../kubeapi/reflector.js";
import type { Logger } from "../../lib/logger.js";

/** One collection that a controller watches. */
export interface Watched {
  readonly collection: Collection;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  /** Everything that exists; what is not in it is gone. */
  listed(items: readonly KubeObject[]): void;
  changed(type: "ADDED" | "MODIFIED", object: KubeObject): void;
  deleted(object: KubeObject): void;
}

interface Options {
  readonly client: KubeClient;
  readonly watched: readonly Watched[];
  /** Whether every collection was listed and none of the watches is lost: told at each transition. */
  readonly current: (isCurrent: boolean) => void;
  readonly logger: Logger;
  readonly signal: AbortSignal;
}

/** Watches collections until closed; each begins once the ones before it were listed. */
export function createWatches({ client, watched, current, logger, signal }: Options): { close(): Promise<void> } {
  const stop = new AbortController();
  const ended = AbortSignal.any([signal, stop.signal]);
  const synced = new Set<Watched>();
  const running: Promise<void>[] = [];
  let isCurrent = false;

  function tell(): void {
    const now = synced.size === watched.length;
    if (now === isCurrent) return;
    isCurrent = now;
    if (!ended.aborted) current(now);
  }

  function begin(position: number): void {
    const one = watched[position];
    if (one === undefined || running.length > position) return;
    const { collection, labelSelector, fieldSelector } = one;
    const watching = reflect(client, collection, {
      signal: ended,
      logger,
      ...(labelSelector === undefined ? {} : { labelSelector }),
      ...(fieldSelector === undefined ? {} : { fieldSelector }),
      listed: (items) => one.listed(items),
      changed(type, object) {
        if (type === "DELETED") one.deleted(object);
        else one.changed(type, object);
      },
      state({ kind }) {
        if (kind === "synced") synced.add(one);
        else synced.delete(one);
        tell();
        if (kind === "synced") begin(position + 1);
      },
    });
    // Only an exception of ours ends it early. Without this watch the controller may not go on.
    running.push(
      watching.catch((error: unknown) => {
        synced.delete(one);
        tell();
        logger.error("a watch ended by an error of this program", { plural: collection.plural, error });
      }),
    );
  }

  begin(0);
  return {
    async close() {
      stop.abort();
      await Promise.all(running);
    },
  };
}
