import { type Refused, refusedIn } from "../../../../src/ctl/refusals.js";
import { eventually } from "../../../support/eventually.js";
import { greeting, reaches } from "../../../support/mesh-stage.js";
import { occupy } from "../../../support/ports.js";
import { drainedSeconds, reachSeconds, restartSeconds } from "../bounds.js";
import type { ChaosEvent } from "../event.js";
import { type ChaosStage, clients, servers, serviceOf } from "../stage.js";

/** A refused listener is sent again after 1, 2 and 4 s; the port is free before the third of these is over. */
const retrySeconds = 8;
const takenSeconds = drainedSeconds + restartSeconds + reachSeconds + retrySeconds;

async function refused({ mesh }: ChaosStage): Promise<readonly Refused[]> {
  const response = await fetch(`${mesh.cp.api}/meshes/default/dataplanes+insights`);
  const { items } = (await response.json()) as { items: readonly unknown[] };
  return refusedIn(items);
}

const refuses = (stage: ChaosStage, name: string, port: number) =>
  eventually(`it is shown that ${name} can't bind port ${port}`, async () => {
    const all = await refused(stage);
    return all.some(({ dataplane, resource, reason }) => {
      return dataplane === name && resource.endsWith(`:${port}`) && reason.includes("cannot bind");
    });
  });

const acceptsAll = (stage: ChaosStage) =>
  eventually("nothing is refused any more", async () => (await refused(stage)).length === 0);

const outboundOf = (name: string): ChaosEvent => ({
  name: `port of a new outbound of ${name} taken and freed`,
  weight: 1,
  mayFail: [],
  async run(stage) {
    const port = await stage.port(`taken from ${name}`);
    const free = await occupy(port);
    try {
      await stage.apply(name, [{ interface: `:${port}`, service: "redis" }]);
      await refuses(stage, name, port);
    } finally {
      await free();
    }
    await eventually("the listener comes", async () => serviceOf(await greeting(port)) === "redis");
    await acceptsAll(stage);
    await stage.apply(name);
  },
});

const inboundOf = (name: string): ChaosEvent => ({
  name: `port of ${name} taken while its sidecar was away, and freed`,
  weight: 1,
  mayFail: [
    {
      kind: "long",
      server: name,
      service: serviceOf(name),
      forSeconds: takenSeconds,
      why: `open connections to ${name} end with its Envoy`,
    },
    {
      kind: "new",
      service: serviceOf(name),
      forSeconds: takenSeconds,
      // Those under way on each client's workers, and one of each client after each time that the penalty is over.
      atMost: 2 * takenSeconds,
      why: `each client's passive health check turns away from ${name} when a connection has failed`,
    },
  ],
  async run(stage) {
    const member = stage.members.get(name);
    if (member === undefined) throw new Error(`${name} is not there`);
    await member.running.stop();
    const free = await occupy(member.inbound);
    try {
      stage.restart(name);
      await refuses(stage, name, member.inbound);
    } finally {
      await free();
    }
    for (const { port } of stage.flows.filter(({ service }) => service === serviceOf(name))) await reaches(port, name);
    await acceptsAll(stage);
  },
});

export const portEvents: readonly ChaosEvent[] = [...clients.map(outboundOf), ...servers.map(inboundOf)];
