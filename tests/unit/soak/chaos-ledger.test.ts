import * as assert from "uvu/assert";
import { type Allowance, betweenEvents, openLedger } from "../../soak/chaos/ledger.js";
import { report } from "../../soak/chaos/report.js";
import type { Connection } from "../../soak/chaos/traffic.js";
import { suite } from "../../support/suite.js";

const test = suite("the ledger of connections in the chaos run");

function opened() {
  let at = 0;
  const ledger = openLedger(() => at);
  return {
    ledger,
    at(seconds: number) {
      at = seconds * 1000;
    },
    /** Records a connection that ends at this second. */
    record(seconds: number, more: Partial<Connection> = {}) {
      const to = seconds * 1000;
      const usual = { client: "web-1", service: "redis", kind: "new", server: undefined, error: undefined } as const;
      ledger.record({ ...usual, from: to, to, ...more });
    },
    denied: () => ledger.violations.map(({ event, connection }) => `${event}: ${connection.error}`),
  };
}

const refused: Allowance = { kind: "new", service: "redis", forSeconds: 5, why: "it is away" };

test("a failure that an event allows is counted by its cause, any other one is a violation", () => {
  const { ledger, record, denied } = opened();
  ledger.begin("away", [refused]);
  record(1, { error: "refused" });
  record(1, { error: "cut", kind: "long" });
  record(1, { error: "of web", service: "web" });
  record(1);
  assert.equal(denied(), ["away: cut", "away: of web"]);
  const row = ledger.rows().find(({ event }) => event === "away");
  assert.is(row?.made, 4);
  assert.is(row?.denied, 2);
  assert.equal(row?.allowed.get("it is away"), { failed: 1, lastSeconds: 1, forSeconds: 5 });
});

test("a failure after the time of its allowance is a violation", () => {
  const { ledger, record, denied } = opened();
  ledger.begin("away", [refused]);
  record(5, { error: "in time" });
  record(5.001, { error: "late" });
  assert.equal(denied(), ["away: late"]);
});

test("an event that is over only allows failures of connections that began before", () => {
  const { ledger, at, record, denied } = opened();
  ledger.begin("away", [refused]);
  at(2);
  ledger.settle();
  record(3, { error: "slow", from: 1_900 });
  record(3, { error: "new" });
  assert.equal(denied(), [`${betweenEvents}: new`]);
});

test("a connection that was given up late is judged by the event in which it began, whatever came since", () => {
  const { ledger, at, record, denied } = opened();
  ledger.begin("away", [refused]);
  at(2);
  ledger.settle();
  at(3);
  ledger.begin("next", []);
  at(4);
  ledger.settle();
  at(5);
  ledger.begin("third", []);
  record(11, { error: "silent since away", from: 1_500 });
  record(13, { error: "silent since next", from: 3_500 });
  assert.equal(denied(), ["third: silent since next"]);
  at(20);
  ledger.settle();
  record(21, { error: "too old to be true", from: 1_500 });
  assert.equal(denied().length, 2);
});

test("the event that follows does not use the allowance of the one before", () => {
  const { ledger, at, record, denied } = opened();
  ledger.begin("away", [refused]);
  at(2);
  ledger.settle();
  ledger.begin("quiet", []);
  record(3, { error: "refused" });
  assert.equal(denied(), ["quiet: refused"]);
});

test("an allowance for one instance covers its connections and unanswered ones", () => {
  const { ledger, record, denied } = opened();
  ledger.begin("away", [{ server: "redis-1", forSeconds: 5, why: "it is away" }]);
  record(1, { error: "nobody answered" });
  record(1, { error: "with 1", server: "redis-1" });
  record(1, { error: "with 2", server: "redis-2" });
  assert.equal(denied(), ["away: with 2"]);
});

test("an allowance with a number covers so many failures in each run of the event", () => {
  const { ledger, at, record, denied } = opened();
  for (const second of [0, 10]) {
    at(second);
    ledger.begin("away", [{ ...refused, atMost: 2 }]);
    for (let index = 0; index < 3; index++) record(second + 1, { error: `${second}, ${index}` });
    ledger.settle();
  }
  assert.equal(denied(), ["away: 0, 2", "away: 10, 2"]);
});

const switched: Allowance = { kind: "new", since: "response", forSeconds: 1, why: "it switches" };
const moment = (name: string, member: string, seconds: number) =>
  ({ name, member, service: member.replace(/-\d+$/, ""), at: seconds * 1000 }) as const;

test("an allowance that counts from moments is judged when the event is over, by those of both ends of a connection", () => {
  const { ledger, at, record, denied } = opened();
  ledger.begin("switch", [switched]);
  record(2.5, { error: "by its client" });
  record(4.5, { error: "by its server", server: "redis-1" });
  record(4.5, { error: "of another server", server: "redis-2" });
  record(4.5, { error: "of another client", client: "mobile-1", service: "web" });
  record(4.6, { error: "of nobody known" });
  record(3.5, { error: "between" });
  record(1.8, { error: "before" });
  record(5.1, { error: "late" });
  assert.equal(denied(), [], "not before the moments are known");
  ledger.mark(moment("response", "web-1", 2));
  ledger.mark(moment("response", "redis-1", 4));
  ledger.mark(moment("another", "redis-2", 4));
  at(6);
  ledger.settle();
  const others = ["of another server", "of another client", "between", "before", "late"];
  assert.equal(
    denied(),
    others.map((error) => `switch: ${error}`),
  );
  const row = ledger.rows().find(({ event }) => event === "switch");
  assert.is(row?.denied, 5);
  assert.is(row?.allowed.get("it switches")?.failed, 3);
});

test("an allowance until a moment covers what each client began before its own", () => {
  const { ledger, at, record, denied } = opened();
  ledger.begin("down", [{ service: "redis", until: "known", forSeconds: 9, why: "nobody knows" }]);
  record(2, { error: "in time" });
  record(3, { error: "known", from: 2_500 });
  record(3, { error: "not known there", client: "mobile-1" });
  record(5, { error: "slow", client: "mobile-1", from: 3_900 });
  ledger.mark(moment("known", "web-1", 2));
  ledger.mark(moment("known", "mobile-1", 4));
  at(5);
  ledger.settle();
  assert.equal(denied(), ["down: known"]);
  ledger.begin("down", [{ service: "redis", until: "known", forSeconds: 9, why: "nobody knows" }]);
  record(6, { error: "never known" });
  ledger.settle();
  assert.equal(denied(), ["down: known", "down: never known"]);
});

test("plaintext that passed is not a connection of a flow, and is only allowed by its own allowance", () => {
  const { ledger, at, record, denied } = opened();
  ledger.begin("switch", [switched, { ...switched, kind: "plaintext", why: "it waits" }]);
  record(1);
  ledger.mark(moment("response", "redis-1", 2));
  record(2.5, { kind: "plaintext", client: "nobody", server: "redis-1", error: "soon" });
  record(3.5, { kind: "plaintext", client: "nobody", server: "redis-1", error: "late" });
  record(4);
  at(5);
  ledger.settle();
  assert.equal(denied(), ["switch: late"]);
  const row = ledger.rows().find(({ event }) => event === "switch");
  assert.equal([...(row?.allowed.keys() ?? [])], ["it waits"]);
  assert.is(row?.gapMs, 3_000);
});

test("the longest time without a successful connection is reported with its flow", () => {
  const { ledger, record } = opened();
  ledger.begin("away", [refused]);
  record(1);
  record(1.1, { client: "mobile-1" });
  record(2, { error: "refused" });
  record(4);
  record(4.2, { client: "mobile-1" });
  const row = ledger.rows().find(({ event }) => event === "away");
  assert.is(row?.gapMs, 3_100);
  assert.is(row?.gapFlow, "mobile-1 to redis");
  assert.match(
    report(ledger),
    /^away, 1 time: 5 connections, 1 failed as allowed, 0 failed otherwise, longest gap 3.10 s/m,
  );
  assert.match(report(ledger), /^ +1 {2}it is away \(within 2.0 of 5 s\)$/m);
});

test.run();
