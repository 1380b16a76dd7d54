import { eventually } from "../../../support/eventually.js";
import { restartSeconds } from "../bounds.js";
import type { ChaosEvent } from "../event.js";
import type { Allowance } from "../ledger.js";
import { type ChaosStage, clients, drainSeconds, members, serviceOf } from "../stage.js";

/** From the end of kuma-cp until its successor is ready: half a second when the machine is idle. */
const controlPlaneSeconds = 6;
/** From the start of kuma-dp until it ends the Envoy that a killed one left. */
const takeOverSeconds = 4;

/** What fails while the sidecar of `name` restarts, from the start of the event for so many seconds. */
function whileGone(name: string, forSeconds: number): readonly Allowance[] {
  const service = serviceOf(name);
  const end: Allowance = {
    kind: "long",
    server: name,
    service,
    forSeconds,
    why: `open connections to ${name} end with its Envoy`,
  };
  if (!(clients as readonly string[]).includes(name)) {
    return [
      end,
      {
        kind: "new",
        service,
        forSeconds,
        // Those under way on each client's workers, and one after each time that the penalty is over.
        atMost: 12,
        why: `each client's passive health check turns away from ${name} when a connection has failed`,
      },
    ];
  }
  return [
    end,
    { kind: "new", service, forSeconds, why: `connections to ${name} are refused until its Envoy listens again` },
    { kind: "long", client: name, forSeconds, why: `open connections from ${name} end with its Envoy` },
    {
      kind: "new",
      client: name,
      forSeconds,
      why: `connections from ${name} are refused until its Envoy listens again`,
    },
  ];
}

/** Waits until the Envoy of a kuma-dp that was started is ready. One that an earlier kuma-dp left does not count. */
async function serves(stage: ChaosStage, name: string): Promise<void> {
  // kuma-dp ends that one before it starts its own, so whoever answers after this is the new one.
  await eventually(`kuma-dp of ${name} has started Envoy`, () => stage.envoyOf(name) !== undefined);
  await eventually(`Envoy of ${name} is ready`, async () => (await stage.ask(name, "/ready")).startsWith("LIVE"));
}

async function killBoth(stage: ChaosStage, name: string): Promise<void> {
  const envoy = stage.envoyOf(name);
  const ended = stage.members.get(name)?.running.kill();
  if (envoy !== undefined) process.kill(envoy, "SIGKILL");
  await ended;
}

const eventsOf = (name: string): readonly ChaosEvent[] => [
  {
    // Its Envoy keeps running until the next kuma-dp of the same name stops it.
    name: `kuma-dp of ${name} killed and started`,
    weight: 1,
    mayFail: whileGone(name, takeOverSeconds + restartSeconds),
    async run(stage) {
      stage.envoyOf(name);
      await stage.members.get(name)?.running.kill();
      stage.restart(name);
      await serves(stage, name);
    },
  },
  {
    // As systemd does it with all processes of a unit.
    name: `kuma-dp and Envoy of ${name} killed, kuma-dp started`,
    weight: 1,
    mayFail: whileGone(name, restartSeconds),
    async run(stage) {
      await killBoth(stage, name);
      stage.restart(name);
      await serves(stage, name);
    },
  },
  {
    name: `kuma-dp and Envoy of ${name} killed while kuma-cp was away`,
    weight: 1,
    mayFail: whileGone(name, controlPlaneSeconds + restartSeconds),
    async run(stage) {
      await killBoth(stage, name);
      const restarted = stage.restartControlPlane("SIGKILL");
      stage.restart(name);
      await restarted;
      await serves(stage, name);
    },
  },
  {
    name: `kuma-dp of ${name} stopped and started`,
    weight: 1,
    mayFail: whileGone(name, drainSeconds + restartSeconds),
    async run(stage) {
      await stage.members.get(name)?.running.stop();
      stage.restart(name);
      await serves(stage, name);
    },
  },
];

export const sidecarEvents: readonly ChaosEvent[] = members.flatMap(eventsOf);
