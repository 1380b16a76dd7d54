import type { Soak } from "../form/soak.js";
import type { Flood } from "./attack.js";
import { randomFlood } from "./floods.js";
import { openFuzzStage } from "./stage.js";
import { createTally } from "./tally.js";

/** Floods of hostile bytes at every port of kuma-cp. @param seconds of each flood */
export function createFuzz(seconds = 1.5): Soak<Flood> {
  const tally = createTally();
  return {
    name: "fuzz",
    extent: { count: 200 },
    input: (random) => randomFlood(random, seconds),
    open: () => openFuzzStage(tally),
    figures: () => tally.figures(),
  };
}
