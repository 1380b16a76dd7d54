// deadline: 480 s
import * as assert from "uvu/assert";
import type { ChaosEvent } from "../soak/chaos/event.js";
import { events } from "../soak/chaos/events/all.js";
import { openLedger } from "../soak/chaos/ledger.js";
import { report } from "../soak/chaos/report.js";
import { type Chaos, openChaos } from "../soak/chaos/run.js";
import { seeded } from "../support/random.js";
import { suite } from "../support/suite.js";

/** The short form of `npm run soak:chaos`: each kind of event once, in an order that is always the same. */
const test = suite("a mesh under traffic goes through everything", { needs: ["envoy", "postgres"] });

const seed = 7;
const random = seeded(seed);
const ledger = openLedger();
let chaos: Chaos;

/** What happens to one client and one server of the four says enough in short. */
const kinds = events.filter(({ name }) => !/ (mobile-1|redis-2)\b/.test(name));

function shuffled(): readonly ChaosEvent[] {
  const left = [...kinds];
  return kinds.flatMap(() => left.splice(random.below(left.length), 1));
}

test.before(async () => {
  chaos = await openChaos({ certificateSeconds: 20, perSecond: 20 }, ledger);
});

test.after(async () => {
  await chaos?.close();
  console.log(`\n${report(ledger)}`);
});

for (const event of shuffled()) {
  const allowed = event.mayFail.length === 0 ? "no connection fails" : "only connections fail that may";
  test(`${event.name}: ${allowed}`, () => chaos.happen(event, random.below(2 ** 32)));
}

test("a connection that may not fail is noticed, with who opened it and what befell it", async () => {
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
