import { eventually } from "../../../support/eventually.js";
import { denies, greeting, reaches } from "../../../support/mesh-stage.js";
import { drainedSeconds, reachSeconds } from "../bounds.js";
import type { ChaosEvent } from "../event.js";
import { type ChaosStage, clients, drainSeconds, guest, service } from "../stage.js";

/** From the start of a sidecar until it listens: half a second when the machine is idle. */
const joinSeconds = 6;

/** How many Dataplanes that nobody talks to come and go. */
const unrelated = 30;

/** Starts a third instance, waits until each client reaches it, and gives its inbound port. */
async function guestJoins(stage: ChaosStage): Promise<number> {
  const { inbound, application: port } = stage.guest;
  await stage.write("dataplanes", "Dataplane", guest, {
    networking: {
      inbound: [{ interface: `127.0.0.1:${inbound}:${port}`, tags: { service: "redis", instance: guest } }],
    },
  });
  await stage.join(guest, inbound);
  for (const flow of stage.flows.filter(({ service: to }) => to === "redis")) await reaches(flow.port, guest);
  return inbound;
}

async function guestLeaves(stage: ChaosStage, inbound: number): Promise<void> {
  await stage.remove("dataplanes", guest);
  for (const client of clients) {
    await eventually(`${client} knows that ${guest} is gone`, async () => {
      return !(await stage.ask(client, "/clusters")).includes(`127.0.0.1:${inbound}::`);
    });
  }
  await stage.leave(guest);
}

const route = (stage: ChaosStage, ...weights: readonly number[]) =>
  stage.write("traffic-routes", "TrafficRoute", "redis", {
    sources: service("*"),
    destinations: service("redis"),
    conf: weights.map((weight, index) => ({
      weight,
      destination: { service: "redis", instance: `redis-${index + 1}` },
    })),
  });

/** Waits until connections of each client to redis lead to one instance only. */
async function leadsTo(stage: ChaosStage, instance: string): Promise<void> {
  for (const { port } of stage.flows.filter(({ service: to }) => to === "redis")) {
    await eventually(`port ${port} leads to ${instance} only`, async () => {
      for (let index = 0; index < 10; index++) if ((await greeting(port)) !== instance) return false;
      return true;
    });
  }
}

/** Waits until the sidecars that changed a listener just now have closed the connections that it drains. */
async function drained(): Promise<void> {
  const begin = performance.now();
  await eventually("the drain time is over", () => performance.now() - begin > (drainSeconds + 0.5) * 1000);
}

export const policyEvents: readonly ChaosEvent[] = [
  {
    name: "permission for web removed and restored",
    weight: 2,
    mayFail: [
      { kind: "new", service: "web", forSeconds: 2 * reachSeconds, why: "no permission lets anybody connect to web" },
      {
        kind: "long",
        service: "web",
        forSeconds: 2 * reachSeconds + drainedSeconds,
        why: "an inbound whose permitted services change drains its connections",
      },
    ],
    async run(stage) {
      await stage.remove("traffic-permissions", "web");
      await denies(stage.webOut);
      if ((await stage.mesh.permit("web", ["mobile"], ["web"])) !== 201) throw new Error("it was not written");
      await reaches(stage.webOut, "web-1");
      await drained();
    },
  },
  {
    name: "route to redis written, changed and removed",
    weight: 2,
    mayFail: [
      {
        kind: "long",
        service: "redis",
        forSeconds: 4 * reachSeconds + drainedSeconds,
        why: "an outbound whose route changes drains its connections",
      },
    ],
    async run(stage) {
      await route(stage, 1, 0);
      await leadsTo(stage, "redis-1");
      await route(stage, 0, 1);
      await leadsTo(stage, "redis-2");
      await route(stage, 50, 50);
      await stage.remove("traffic-routes", "redis");
      for (const { port } of stage.flows.filter(({ service: to }) => to === "redis")) {
        for (const name of ["redis-1", "redis-2"]) await reaches(port, name);
      }
      await drained();
    },
  },
  {
    name: "instance of redis joined and left",
    weight: 2,
    mayFail: [
      {
        kind: "new",
        service: "redis",
        forSeconds: joinSeconds,
        why: "a Dataplane is an endpoint from when it is applied, and refuses connections until its Envoy listens",
      },
      {
        kind: "long",
        server: guest,
        service: "redis",
        forSeconds: joinSeconds + 2 * reachSeconds + drainedSeconds,
        why: `open connections to ${guest} end with its Envoy`,
      },
    ],
    async run(stage) {
      const inbound = await guestJoins(stage);
      await guestLeaves(stage, inbound);
    },
  },
  {
    name: "unrelated dataplanes created and deleted",
    weight: 1,
    mayFail: [],
    async run(stage) {
      const names = Array.from({ length: unrelated }, (_, index) => `unrelated-${index}`);
      const networking = (index: number) => ({
        inbound: [{ interface: `127.0.0.1:${index + 1}:999`, tags: { service: `unrelated-${index % 5}` } }],
        outbound: [{ interface: `:${index + 101}`, service: "redis" }],
      });
      for (const [index, name] of names.entries()) {
        await stage.write("dataplanes", "Dataplane", name, { networking: networking(index) });
      }
      for (const name of names) await stage.remove("dataplanes", name);
    },
  },
];
