import { drainedSeconds, restartSeconds } from "../bounds.js";
import type { ChaosEvent } from "../event.js";
import { members, serviceOf } from "../stage.js";

const reloaded = "reloaded";

export const reloadEvents: readonly ChaosEvent[] = [
  {
    name: "kuma-dp of one sidecar reloaded over and over",
    weight: 2,
    mayFail: [
      {
        kind: "long",
        since: reloaded,
        forSeconds: restartSeconds + drainedSeconds,
        why: "connections through an Envoy that has handed over end with the drain time",
      },
    ],
    async run(stage, ledger) {
      const member = stage.random.pick(members);
      for (let index = 0; index < stage.reloads; index++) {
        ledger.mark({ name: reloaded, member, service: serviceOf(member), at: performance.now() });
        await stage.reload(member);
      }
    },
  },
];
