import { realTimers, type Timers } from "../../lib/timers.js";
import { queueTimes } from "./work-queue.js";

/** Updates of all pods of a mesh. */
export interface MeshUpdates {
  /** The mesh is updated soon, once for all requests until then. */
  request(mesh: string): void;
  close(): void;
}

interface Options {
  /** Pods of the mesh. */
  readonly pods: (mesh: string) => number;
  readonly update: (mesh: string) => void;
  readonly timers?: Timers;
}

/** How long a mesh is left alone after an update, in milliseconds a pod: bounds the writes of outbounds to 40 a second. */
const restPerPodMs = 25;
const longestRestMs = 30_000;

/**
 * Spaces out the updates of a mesh. Each costs one write per pod, and while n pods start there may be n reasons for one:
 * with a rest in proportion to the size of the mesh, that is a few writes per pod instead of n. A single change is
 * announced after 100 ms.
 */
export function createMeshUpdates({ pods, update, timers = realTimers }: Options): MeshUpdates {
  const waiting = new Map<string, unknown>();
  const last = new Map<string, number>();

  return {
    request(mesh) {
      if (waiting.has(mesh)) return;
      const rest = Math.min(pods(mesh) * restPerPodMs, longestRestMs);
      const next = (last.get(mesh) ?? Number.NEGATIVE_INFINITY) + rest;
      const wait = Math.max(queueTimes.coalesceMs, next - timers.now());
      waiting.set(
        mesh,
        timers.set(() => {
          waiting.delete(mesh);
          if (pods(mesh) > 0) last.set(mesh, timers.now());
          else last.delete(mesh);
          update(mesh);
        }, wait),
      );
    },
    close() {
      for (const timer of waiting.values()) timers.clear(timer);
      waiting.clear();
    },
  };
}
