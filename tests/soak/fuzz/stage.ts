import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { eventually } from "../../support/eventually.js";
import { type ControlPlane, startControlPlane } from "../../support/executable.js";
import type { Stage } from "../form/soak.js";
import type { Flood } from "./attack.js";
import { openAttackers } from "./attackers.js";
import { startBareServer } from "./bare.js";
import type { Ports } from "./battle.js";
import { openHonestClients, openHonestMesh } from "./honest.js";
import { longestMs, measureReadiness, percentile } from "./readiness.js";
import type { Tally } from "./tally.js";
import { bounds, followVitals, restingProblem } from "./vitals.js";

/** How many times as long as a bare server kuma-cp may take. */
const mostRatio = 5;
/** How often a flood is measured in all that seems to go beyond it. */
const passesInDoubt = 5;
/** Below this the machine's scheduling is all that a ratio would measure. */
const noiseMs = 200;
const restMs = 30_000;
const lookEveryMs = 50;

const portOf = (url: string) => Number(new URL(url).port);

const portsOf = (cp: ControlPlane): Ports => ({
  xds: cp.xdsPort,
  sds: cp.sdsPort,
  api: portOf(cp.api),
  bootstrap: portOf(cp.bootstrap),
  tokens: portOf(cp.tokens),
  health: portOf(cp.health),
});

/** What a user sees of the mesh that nobody attacks, without what honest clients change. */
async function picture(api: string): Promise<string> {
  const paths = [
    ...["/", "/config", "/catalog", "/meshes/default", "/meshes/default/dataplanes/honest"],
    ...["/meshes/default/traffic-permissions", "/meshes/default/proxytemplates"],
  ];
  const texts = await Promise.all(
    paths.map(async (each) => {
      const response = await fetch(`${api}${each}`);
      return `${each} ${response.status} ${await response.text()}`;
    }),
  );
  return texts.join("\n");
}

/** kuma-cp with its honest clients, a bare server beside it, and the process that floods both. */
export async function openFuzzStage(tally: Tally): Promise<Stage<Flood>> {
  const temporary = fs.mkdtempSync(path.join(os.tmpdir(), "kuma-fuzz-"));
  const attackers = openAttackers();
  const cp = await startControlPlane();
  const vitals = followVitals(cp);
  let bare = await startBareServer(temporary);
  await openHonestMesh(cp);
  const atStart = await picture(cp.api);
  const honest = await openHonestClients(cp);
  await honest.served();
  const openFiles = vitals.openFiles();
  /** Resident memory after each flood. */
  const floods: number[] = [];

  const nameOf = (flood: Flood) => flood.attacks.map(({ name, port }) => `${name} (${port})`).join(" + ");

  /** Looks after the process until `during` is over, which a bad sign ends. */
  async function watched(during: Promise<unknown>): Promise<void> {
    let over = false;
    const end = during.then(() => {
      over = true;
    });
    while (!over) {
      vitals.check();
      await Promise.race([end, new Promise((resolve) => setTimeout(resolve, lookEveryMs))]);
    }
    await end;
  }

  async function bareTimes(flood: Flood): Promise<readonly number[]> {
    if (!bare.alive()) {
      tally.bareEnds += 1;
      bare.close();
      bare = await startBareServer(temporary);
    }
    return (await measureReadiness(bare.ready, attackers.send(flood, bare.ports))).times.filter(Number.isFinite);
  }

  /** @returns how many times as long as a bare server kuma-cp took, as far as it took more than noise */
  async function pass(flood: Flood): Promise<number> {
    const floor = await bareTimes(flood);
    const sent = attackers.send(flood, portsOf(cp));
    const measured = measureReadiness(cp.health, sent);
    await watched(Promise.all([measured, honest.served()]));
    const [{ times }, figures] = await Promise.all([measured, sent]);
    tally.add(figures, times, floor);
    const worst = Math.max(...times);
    if (worst > longestMs) throw new Error(`/ready took ${Math.round(worst)} ms, over ${longestMs} ms`);
    await honest.served();
    vitals.check();
    const ours = percentile(times, 0.9);
    return floor.length > 0 && ours > noiseMs ? ours / percentile(floor, 0.9) : 0;
  }

  async function step(flood: Flood): Promise<void> {
    const ratios = [await pass(flood)];
    if (percentile(ratios, 0.5) <= mostRatio) return;
    // The two are measured one after the other: other work on this machine may have met only one of them.
    while (ratios.length < passesInDoubt) ratios.push(await pass(flood));
    const ratio = percentile(ratios, 0.5);
    if (ratio <= mostRatio) return;
    const all = ratios.map((each) => each.toFixed(1)).join(", ");
    throw new Error(`/ready took ${ratio.toFixed(1)} times as long as a bare server's, in the median of ${all}`);
  }

  return {
    async step(flood) {
      try {
        await step(flood);
        floods.push(vitals.memory());
      } catch (error) {
        // Its last output may not have arrived yet.
        await Promise.race([cp.ended, new Promise((resolve) => setTimeout(resolve, 300))]);
        const said = cp.child.exitCode === null && cp.child.signalCode === null ? "" : ended();
        throw new Error(`${nameOf(flood)}: ${said || (error as Error).message}`);
      }
      function ended(): string {
        try {
          vitals.check();
          return "";
        } catch (why) {
          return (why as Error).message;
        }
      }
    },
    async settle() {
      await eventually("open files come back", () => vitals.openFiles() <= openFiles + bounds.openFilesAtRest, restMs);
      await eventually(
        "memory comes to rest",
        () => {
          const problem = restingProblem(vitals.memory(), floods);
          if (problem !== undefined) throw new Error(problem);
          return true;
        },
        restMs,
      );
      tally.rest(vitals.memory(), vitals.peak());
      await honest.served();
      const atEnd = await picture(cp.api);
      if (atEnd !== atStart)
        throw new Error(`the API answers otherwise than at the start:\n${atEnd}\nand not\n${atStart}`);
      vitals.check();
    },
    async close() {
      tally.rest(0, vitals.peak());
      honest.close();
      attackers.close();
      bare.close();
      await cp.kill();
      fs.rmSync(temporary, { recursive: true, force: true });
    },
  };
}
