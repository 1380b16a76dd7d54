import type { SkippedObject } from "../../store/kind.js";
import { apiVersion } from "../custom-objects.js";
import type { EventRecorder } from "./events.js";
import type { Controller } from "./pod-controller.js";

/** How often it is looked for skipped objects, in milliseconds; the list is in memory. */
const everyMs = 10_000;

interface Options {
  readonly skipped: () => readonly SkippedObject[];
  /** Where events about objects without a namespace are. */
  readonly systemNamespace: string;
  readonly events: EventRecorder;
}

/** Tells by events which objects can't be read or are invalid; they came while the webhook was away. */
export function startSkippedObjects({ skipped, systemNamespace, events }: Options): Controller {
  function tell(): void {
    for (const { type, namespace, name, uid = "", effect, reason } of skipped()) {
      // Events about Secrets of ours would be no news to their users.
      if (type === "Secret") continue;
      const regarding = { apiVersion, kind: type, namespace: namespace ?? systemNamespace, name, uid };
      const [word, what] =
        effect === "none"
          ? ["UnreadableKumaResource", "has no effect"]
          : ["InvalidKumaResource", "has effect only where it is valid"];
      const note = `This object ${what}: ${reason}`;
      events.record({ regarding, type: "Warning", reason: word, action: "ReadResource", note });
    }
  }

  const timer = setInterval(tell, everyMs);
  timer.unref();
  return {
    async close() {
      clearInterval(timer);
    },
  };
}
