import { eventually } from "../../../support/eventually.js";
import type { ChaosEvent } from "../event.js";

/** How long PostgreSQL stays away. */
const awaySeconds = 4;

export const controlPlaneEvents: readonly ChaosEvent[] = [
  {
    name: "kuma-cp killed and started",
    weight: 3,
    mayFail: [],
    run: (stage) => stage.restartControlPlane("SIGKILL"),
  },
  {
    name: "kuma-cp stopped and started",
    weight: 2,
    mayFail: [],
    run: (stage) => stage.restartControlPlane("SIGTERM"),
  },
  {
    name: "PostgreSQL crashed and came back",
    weight: 2,
    mayFail: [],
    async run({ database, mesh }) {
      const ready = async () => (await fetch(`${mesh.cp.health}/ready`)).status === 200;
      const gone = performance.now();
      await database.stop("immediate");
      await eventually("kuma-cp is not ready without its database", async () => !(await ready()));
      await eventually("its time is over", () => performance.now() - gone > awaySeconds * 1000);
      await database.start();
      await eventually("kuma-cp is ready again", ready);
    },
  },
  {
    name: "kuma-cp killed while PostgreSQL was away",
    weight: 1,
    mayFail: [],
    async run(stage) {
      await stage.database.stop("immediate");
      const restarted = stage.restartControlPlane("SIGKILL");
      await stage.database.start();
      await restarted;
    },
  },
];
