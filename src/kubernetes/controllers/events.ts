import { randomBytes } from "node:crypto";
import type { KubeClient } from "../../kubeapi/client.js";
import { sleep } from "../../lib/deadline.js";
import { messageOf } from "../../lib/errors.js";
import type { Logger } from "../../lib/logger.js";

/** The object that an event is about. */
export interface Regarding {
  readonly apiVersion: string;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
}

export interface KubeEvent {
  readonly regarding: Regarding;
  readonly type: "Normal" | "Warning";
  /** One word, for programs. */
  readonly reason: string;
  /** What was attempted, in one word. */
  readonly action: string;
  /** A sentence for people. */
  readonly note: string;
}

/** Events that `kubectl describe` shows with an object. */
export interface EventRecorder {
  /** Never fails: an event that can't be written is dropped. */
  record(event: KubeEvent): void;
  close(): void;
}

/** Events must not cost more than what they report. */
export const eventLimits = {
  /** Events that wait to be written; others are dropped. */
  waiting: 1_000,
  /** Milliseconds between two events. */
  everyMs: 50,
  /** For this long the same event of the same object is not written again, in milliseconds. */
  repeatMs: 10 * 60_000,
  /** Objects whose last events are remembered. */
  remembered: 10_000,
  /** Kubernetes refuses longer notes. */
  noteCharacters: 1_000,
} as const;

const eventsIn = (namespace: string) => ({ group: "events.k8s.io", version: "v1", plural: "events", namespace });

interface Options {
  readonly client: Pick<KubeClient, "create">;
  /** The name of this control plane instance. */
  readonly instance: string;
  readonly logger: Logger;
  readonly now?: () => number;
}

/** Writes events one after the other, twenty a second at most. */
export function createEventRecorder({ client, instance, logger, now = Date.now }: Options): EventRecorder {
  const waiting: KubeEvent[] = [];
  const recent = new Map<string, number>();
  const stop = new AbortController();
  let running = false;

  function isRepeated({ regarding, reason, note }: KubeEvent): boolean {
    const key = `${regarding.uid} ${reason} ${note}`;
    const before = recent.get(key);
    if (before !== undefined && now() - before < eventLimits.repeatMs) return true;
    recent.delete(key);
    recent.set(key, now());
    if (recent.size > eventLimits.remembered) for (const oldest of recent.keys()) return !recent.delete(oldest);
    return false;
  }

  async function write({ regarding, type, reason, action, note }: KubeEvent): Promise<void> {
    const { namespace, name } = regarding;
    await client.create(eventsIn(namespace), {
      apiVersion: "events.k8s.io/v1",
      kind: "Event",
      metadata: { namespace, name: `${name.slice(0, 200)}.${randomBytes(8).toString("hex")}` },
      eventTime: new Date(now()).toISOString().replace("Z", "000Z"),
      reportingController: "kuma.io/control-plane",
      reportingInstance: instance.slice(0, 128),
      action,
      reason,
      regarding,
      note: note.slice(0, eventLimits.noteCharacters),
      type,
    });
  }

  async function run(): Promise<void> {
    for (let event = waiting.shift(); event !== undefined && !stop.signal.aborted; event = waiting.shift()) {
      try {
        await write(event);
        await sleep(eventLimits.everyMs, stop.signal);
      } catch (error) {
        // Events are a courtesy: the namespace may be on its way out, or the role may not allow them.
        if (!stop.signal.aborted) logger.debug("an event was not written", { reason: messageOf(error) });
      }
    }
    running = false;
  }

  return {
    record(event) {
      if (stop.signal.aborted || waiting.length >= eventLimits.waiting || isRepeated(event)) return;
      waiting.push(event);
      if (running) return;
      running = true;
      void run();
    },
    close() {
      stop.abort();
      waiting.length = 0;
    },
  };
}
