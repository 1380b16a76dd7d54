// deadline: 1200 s
import * as assert from "uvu/assert";
import type { ChaosEvent } from "../soak/chaos/event.js";
import { events } from "../soak/chaos/events/all.js";
import { openLedger } from "../soak/chaos/ledger.js";
import { report } from "../soak/chaos/report.js";
import { type Chaos, openChaos } from "../soak/chaos/run.js";
import { seeded } from "../support/random.js";
import { suite } from "../support/suite.js";

/** The short form of `npm run soak:chaos`: each kind of event once, in an order that is always the same. */
const test = suite("a mesh under traffic survives every event", { needs: ["envoy", "postgres"] });

const seed = 7;
const random = seeded(seed);
const ledger = openLedger();
let chaos: Chaos;

/** What takes most of a minute: `deaf-control-plane.test.ts` and `mtls-rotation.test.ts` have these by themselves. */
const slow = /went deaf|^certificates renewed/;

/** What happens to one of the four sidecars says enough in short. */
function kinds(): readonly ChaosEvent[] {
  const byKind = new Map<string, ChaosEvent[]>();
  for (const event of events.filter(({ name }) => !slow.test(name))) {
    const kind = event.name.replace(/\b(web|mobile|redis)-\d\b/, "one");
    byKind.set(kind, [...(byKind.get(kind) ?? []), event]);
  }
  return [...byKind.values()].map((all) => random.pick(all));
}

function shuffled(all: readonly ChaosEvent[]): readonly ChaosEvent[] {
  const left = [...all];
  return all.flatMap(() => left.splice(random.below(left.length), 1));
}

test.before(async () => {
  chaos = await openChaos({ certificateSeconds: 60, perSecond: 20, reloads: 1 }, ledger);
});

test.after(async () => {
  await chaos?.close();
  console.log(`\n${report(ledger)}`);
});

for (const event of shuffled(kinds())) {
  const allowed = event.mayFail.length === 0 ? "no connection fails" : "only connections fail that may";
  test(`${event.name}: ${allowed}`, () => chaos.happen(event, random.below(2 ** 32)));
}

test("a connection that must not fail is reported, with its client and its error", async () => {
  const killed = events.find(({ name }) => name === "kuma-dp and Envoy of web-1 killed, kuma-dp started");
  assert.ok(killed);
  const message = await chaos.happen({ ...killed, mayFail: [] }, seed).then(
    () => "nothing was noticed",
    (error: Error) => error.message,
  );
  assert.match(message, /^connections failed that may not:\n/);
  assert.match(message, /long connection from web-1 to redis with redis-\d: closed while open/);
  assert.match(message, /new connection from web-1 to redis: ECONNREFUSED/);
});

test.run();
