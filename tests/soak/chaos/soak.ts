import { UsageError } from "../../support/usage-error.js";
import type { Soak } from "../form/soak.js";
import type { ChaosEvent } from "./event.js";
import { events } from "./events/all.js";
import { type Ledger, openLedger } from "./ledger.js";
import { report } from "./report.js";
import { openChaos } from "./run.js";

/** One event, and the seed of what it leaves open. */
export interface ChaosInput {
  readonly event: string;
  readonly seed: number;
}

/** Renewed every 48 s. */
const certificateSeconds = 60;
const perSecond = 25;
const reloads = 10;

/** Each event as often as its weight says. */
const lots: readonly ChaosEvent[] = events.flatMap((event) => Array.from({ length: event.weight }, () => event));

function eventOf(name: string): ChaosEvent {
  const found = events.find((event) => event.name === name);
  if (found === undefined) throw new UsageError(`there is no event "${name}" in soak:chaos`);
  return found;
}

/** Lets events drawn at random happen to one mesh, one after the other; a failure brings a new mesh. */
export function chaosSoak(): Soak<ChaosInput> {
  const ledgers: Ledger[] = [];
  const sum = (of: (ledger: Ledger) => number) => ledgers.reduce((total, ledger) => total + of(ledger), 0);
  return {
    name: "chaos",
    extent: { minutes: 30 },
    input: (random) => ({ event: random.pick(lots).name, seed: random.below(2 ** 32) }),
    async open(say) {
      const ledger = openLedger();
      const chaos = await openChaos({ certificateSeconds, perSecond, reloads }, ledger);
      ledgers.push(ledger);
      return {
        async step({ event, seed }, number) {
          const begin = performance.now();
          await chaos.happen(eventOf(event), seed);
          say(`step ${number}: ${event} (${((performance.now() - begin) / 1000).toFixed(1)} s)`);
        },
        settle: () => chaos.calm(),
        async close() {
          await chaos.close();
          say(report(ledger));
        },
      };
    },
    figures() {
      const rows = (ledger: Ledger) => ledger.rows();
      const failed = (ledger: Ledger) =>
        rows(ledger)
          .flatMap(({ allowed }) => [...allowed.values()])
          .reduce((total, { failed: some }) => total + some, 0);
      return {
        connections: sum((ledger) => rows(ledger).reduce((total, { made }) => total + made, 0)),
        "failed as allowed": sum(failed),
        "failed otherwise": sum((ledger) => rows(ledger).reduce((total, { denied }) => total + denied, 0)),
      };
    },
  };
}
