import { eventually } from "../../../support/eventually.js";
import { reaches } from "../../../support/mesh-stage.js";
import { reachSeconds } from "../bounds.js";
import type { ChaosEvent } from "../event.js";
import { type ChaosStage, clients, servers, serviceOf } from "../stage.js";

const detected = "the client's sidecar knows";
/** A sidecar checks its application once a second, and reports every 1 to 5 seconds. */
const detectionSeconds = 1 + 5 + reachSeconds;
/** How long the application stays away after that. */
const awaySeconds = 3;

/** What the Envoy of a client holds against an instance of redis: `healthy` when that is nothing. */
async function flags(stage: ChaosStage, client: string, inbound: number): Promise<string> {
  const clusters = await stage.ask(client, "/clusters");
  return new RegExp(`::127.0.0.1:${inbound}::health_flags::(.*)$`, "m").exec(clusters)?.[1] ?? "unknown";
}

const eventOf = (name: string): ChaosEvent => ({
  name: `application of ${name} down and back behind its sidecar`,
  weight: 1,
  mayFail: [
    {
      kind: "long",
      server: name,
      service: serviceOf(name),
      until: detected,
      forSeconds: detectionSeconds,
      why: `open connections to ${name} end with its application`,
    },
    {
      kind: "new",
      server: name,
      service: serviceOf(name),
      until: detected,
      forSeconds: detectionSeconds,
      why: `the sidecar of ${name} accepts connections until clients hear that its application is down`,
    },
  ],
  async run(stage, ledger) {
    const application = stage.applications.get(name);
    const member = stage.members.get(name);
    if (application === undefined || member === undefined) throw new Error(`${name} is not there`);
    const says = (client: string, wanted: string) => async () =>
      (await flags(stage, client, member.inbound)).includes(wanted);
    await application.stop();
    await Promise.all(
      clients.map(async (client) => {
        await eventually(`${client} knows that it is down`, says(client, "/failed_eds_health"));
        ledger.mark({ name: detected, member: client, service: serviceOf(client), at: performance.now() });
      }),
    );
    const known = performance.now();
    await eventually("nothing is sent there", () => performance.now() - known > awaySeconds * 1000);
    await application.start();
    await Promise.all(clients.map((client) => eventually(`${client} knows that it is back`, says(client, "healthy"))));
    for (const { port } of stage.flows.filter(({ service }) => service === serviceOf(name))) await reaches(port, name);
  },
});

export const applicationEvents: readonly ChaosEvent[] = servers.map(eventOf);
