import { eventually } from "../../../support/eventually.js";
import { greeting } from "../../../support/mesh-stage.js";
import type { ChaosEvent } from "../event.js";
import { members, serviceOf } from "../stage.js";

/** How long PostgreSQL stays away. */
const awaySeconds = 4;
/** A sidecar notices within so many seconds that its connection to the control plane carries nothing any more. */
const deafSeconds = 60;

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
  {
    // Each sidecar is sent a change, which arrives once it has made another connection.
    name: "load balancer before the xDS server went deaf",
    weight: 1,
    mayFail: [],
    async run(stage) {
      const begin = performance.now();
      stage.balancer.deafen();
      await Promise.all(
        members.map(async (name) => {
          const port = await stage.port(`while deaf, of ${name}`);
          await stage.apply(name, [{ interface: `:${port}`, service: "redis" }]);
          const left = deafSeconds * 1000 - (performance.now() - begin);
          const arrived = async () => serviceOf(await greeting(port)) === "redis";
          await eventually(`${name} has what was sent to it`, arrived, left);
        }),
      );
      for (const name of members) await stage.apply(name);
    },
  },
];
