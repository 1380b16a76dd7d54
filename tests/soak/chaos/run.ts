import { eventually } from "../../support/eventually.js";
import { seeded } from "../../support/random.js";
import type { ChaosEvent } from "./event.js";
import type { Ledger, Violation } from "./ledger.js";
import { openChaosStage, type StageOptions } from "./stage.js";
import { startTraffic } from "./traffic.js";

/** A mesh under traffic to which events happen. */
export interface Chaos {
  /**
   * Lets one event happen and waits until the mesh is calm again. `seed` decides what the event leaves open.
   * Throws when the event did not do what it should, when the mesh did not recover, or when a connection failed that no
   * allowance covers, also since the event before.
   */
  happen(event: ChaosEvent, seed: number): Promise<void>;
  /** Waits until the control plane is ready, all sidecars are connected, all instances are used and nothing fails; throws when that takes long. */
  calm(): Promise<void>;
  close(): Promise<void>;
}

/** How long nothing may have failed before an event counts as over. */
const quietMs = 1_000;

function describe({ event, afterSeconds, connection }: Violation): string {
  const { kind, client, service, server, error } = connection;
  const with_ = server === undefined ? "" : ` with ${server}`;
  return `${event}, after ${afterSeconds.toFixed(2)} s: ${kind} connection from ${client} to ${service}${with_}: ${error}`;
}

const shown = 10;

/** Opens a mesh and begins the traffic, whose connections go to the ledger. */
export async function openChaos(options: StageOptions, ledger: Ledger): Promise<Chaos> {
  const stage = await openChaosStage(options);
  const traffic = startTraffic(stage.flows, ledger.record);
  const wanted = stage.flows.reduce((sum, { longLived }) => sum + longLived, 0);

  let judged = 0;

  async function calm(): Promise<void> {
    await stage.connected();
    // Otherwise the next event might take the last instance that a client still uses.
    await stage.penaltiesOver();
    const since = performance.now();
    await eventually(
      `nothing fails for ${quietMs} ms, and ${wanted} long-lived connections are open`,
      () => {
        const quietSince = Math.max(since, ledger.lastFailure());
        return traffic.longLived() === wanted && performance.now() - quietSince > quietMs;
      },
      60_000,
    );
  }

  async function close(): Promise<void> {
    await traffic.stop();
    await stage.close();
  }

  try {
    await calm();
  } catch (error) {
    await close();
    throw error;
  }
  return {
    async happen(event, seed) {
      stage.random = seeded(seed);
      ledger.begin(event.name, event.mayFail);
      try {
        await event.run(stage, ledger);
        await calm();
      } finally {
        ledger.settle();
      }
      const found = ledger.violations.slice(judged);
      judged = ledger.violations.length;
      if (found.length === 0) return;
      const more = found.length > shown ? `\nand ${found.length - shown} more` : "";
      throw new Error(`connections failed that may not:\n${found.slice(0, shown).map(describe).join("\n")}${more}`);
    },
    calm,
    close,
  };
}
