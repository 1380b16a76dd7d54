import * as assert from "uvu/assert";
import type { EnvoyResource } from "../../../src/envoy/resource.js";
import { lostReason } from "../../../src/xds/configuration/lost-listeners.js";
import { mayPass } from "../../../src/xds/configuration/passing-refusal.js";
import { createRetries } from "../../../src/xds/configuration/retries.js";
import { createFakeTime } from "../../support/fake-time.js";
import { suite } from "../../support/suite.js";
import { backend, generated, redis, viewOf } from "./meshes.js";
import { createSimulatedClient, type SimulatedClient } from "./simulated-client.js";

const test = suite("listeners that a proxy acknowledged and lost");

const configuration = (connectTimeoutMs = 5000, sketch = backend) =>
  generated(viewOf([sketch, redis]), "backend-1", { connectTimeoutMs }).config;

function drain(client: SimulatedClient, refuse?: (resource: EnvoyResource) => boolean, words?: string): void {
  for (let steps = 0; client.handle(refuse, words); steps++) {
    if (steps > 10_000) throw new Error("the session never comes to rest");
  }
}

/** A client that acknowledged everything, and the names of its listeners. */
function served() {
  const client = createSimulatedClient();
  const config = configuration();
  client.connect(config);
  drain(client);
  const names = [...config.lds.keys()];
  const [lost = "", ...others] = names;
  assert.ok(others.length > 0, "the proxy needs more than one listener");
  return { client, config, names, lost, others };
}

const listenersSent = (client: SimulatedClient) =>
  client.responses.filter(({ kind }) => kind === "lds").map(({ resources }) => resources.map(({ name }) => name));

test("one is refused for a reason that may pass, and nothing is sent before it is its turn", () => {
  const { client, lost, others } = served();
  assert.ok(mayPass(lostReason));
  assert.not.ok(client.session.retriable());
  const before = client.responses.length;
  assert.equal(client.session.compareListeners(new Set(others)), { missing: [lost], fresh: [lost], pending: false });
  assert.equal(client.session.refusals(), [{ kind: "lds", name: lost, reason: lostReason }]);
  assert.ok(client.session.retriable());
  const delivery = client.session.delivery("lds", lost);
  assert.is(delivery?.state, "refused");
  assert.is(delivery?.held, undefined, "Envoy has no version of it");
  assert.is(client.responses.length, before);

  client.session.retry();
  assert.equal(listenersSent(client).at(-1), [lost], "it alone");
  drain(client);
  assert.equal(client.session.refusals(), []);
  assert.is(client.session.delivery("lds", lost)?.state, "acknowledged");
});

test("until then it is missing with every report, but only the first one is news", () => {
  const { client, lost, others } = served();
  client.session.compareListeners(new Set(others));
  const again = client.session.compareListeners(new Set(others));
  assert.equal(again, { missing: [lost], fresh: [], pending: false });
});

test("a proxy that has all is left alone, and so is one that reports names that were never sent", () => {
  const { client, names } = served();
  const before = client.responses.length;
  for (const present of [names, [...names, "made up", "__proto__", ""]]) {
    assert.equal(client.session.compareListeners(new Set(present)), { missing: [], fresh: [], pending: false });
  }
  client.session.retry();
  assert.equal(client.session.refusals(), []);
  assert.is(client.responses.length, before);
});

test("what the proxy has not acknowledged is not missing, and the report has to be repeated", () => {
  const client = createSimulatedClient();
  client.connect(configuration());
  while (client.responses.at(-1)?.kind !== "lds") client.handle();
  assert.equal(client.session.compareListeners(new Set()), { missing: [], fresh: [], pending: true });
  drain(client);
  assert.equal(client.session.refusals(), []);
  assert.is(client.session.compareListeners(new Set()).pending, false);
});

test("a proxy that has not been configured lacks nothing", () => {
  const client = createSimulatedClient();
  client.connect(undefined);
  assert.equal(client.session.compareListeners(new Set()), { missing: [], fresh: [], pending: false });
});

test("Envoy's own words take the place of ours when it refuses the next attempt, and it still has no version", () => {
  const { client, lost, others } = served();
  client.session.compareListeners(new Set(others));
  client.session.retry();
  drain(client, ({ name }) => name === lost, "cannot bind");
  const [refusal] = client.session.refusals();
  assert.match(refusal?.reason ?? "", /^cannot bind/);
  assert.is(client.session.delivery("lds", lost)?.held, undefined);
  assert.equal(client.session.compareListeners(new Set(others)).missing, [lost]);
  assert.match(client.session.refusals()[0]?.reason ?? "", /^cannot bind/, "a report changes nothing about that");
  client.session.retry();
  drain(client);
  assert.equal(client.session.refusals(), []);
});

const inbound = "inbound:127.0.0.1:8000";
const leadingTo = (port: number) => ({
  ...backend,
  inbound: [{ interface: `127.0.0.1:8000:${port}`, tags: { service: "backend" } }],
});

test("one that changes is sent at once, without waiting for its turn", () => {
  const { client, names } = served();
  client.session.compareListeners(new Set(names.filter((name) => name !== inbound)));
  client.configure(configuration(5000, leadingTo(81)));
  drain(client);
  assert.equal(listenersSent(client).at(-1), [inbound]);
  assert.equal(client.session.refusals(), []);
  assert.is(client.session.delivery("lds", inbound)?.state, "acknowledged");
});

test("one that is to go is removed: Envoy still names it when it connects again", () => {
  const { client, names } = served();
  client.session.compareListeners(new Set(names.filter((name) => name !== inbound)));
  client.configure(configuration(5000, { ...backend, inbound: [] }));
  drain(client);
  assert.ok(client.responses.some(({ kind, removed }) => kind === "lds" && removed.includes(inbound)));
  assert.equal(client.session.refusals(), []);
  assert.not.ok(client.session.retriable());
});

test("one whose newer version the proxy refuses is not shown with the earlier one, which is lost as well", () => {
  const { client, names } = served();
  client.configure(configuration(5000, leadingTo(81)));
  drain(client, ({ name }) => name === inbound, "cannot bind");
  assert.ok(client.session.delivery("lds", inbound)?.held, "it serves the earlier version");
  const others = new Set(names.filter((name) => name !== inbound));
  assert.equal(client.session.compareListeners(others), { missing: [inbound], fresh: [], pending: false });
  const delivery = client.session.delivery("lds", inbound);
  assert.is(delivery?.held, undefined);
  assert.match(delivery?.reason ?? "", /^cannot bind/);
  client.configure(configuration());
  drain(client);
  assert.is(client.session.delivery("lds", inbound)?.state, "acknowledged", "the earlier version was sent again");
});

test("a proxy that connects again and claims to have it is found out by the next report", () => {
  const { client, config, lost, others } = served();
  client.session.compareListeners(new Set(others));
  client.connect(config);
  drain(client);
  assert.equal(listenersSent(client).flat(), [], "it says that it has all");
  assert.equal(client.session.refusals(), []);
  assert.equal(client.session.compareListeners(new Set(others)).fresh, [lost]);
  client.session.retry();
  assert.equal(listenersSent(client).flat(), [lost]);
});

test("reports that alternate between nothing and all have nothing sent more often than the pauses allow", () => {
  const { client, names } = served();
  const time = createFakeTime();
  const retries = createRetries(client.session, time.timers);
  const before = listenersSent(client).length;
  const hour = 3_600_000;
  let news = 0;
  for (let elapsed = 0; elapsed < hour; elapsed += 100) {
    for (const present of [[], names]) {
      news += client.session.compareListeners(new Set(present)).fresh.length;
      retries.follow();
    }
    time.pass(100);
    drain(client);
    retries.follow();
  }
  const sent = listenersSent(client).length - before;
  assert.ok(sent >= 60 && sent <= 130, `${sent} times in an hour, where pauses of 30 to 60 s allow 60 to 120`);
  assert.ok(news <= (sent + 1) * names.length, `${news} news`);
  retries.stop();
});

test("after a calm minute another loss is mended within a second again", () => {
  const { client, lost, others } = served();
  const time = createFakeTime();
  const retries = createRetries(client.session, time.timers);
  const lose = () => {
    client.session.compareListeners(new Set(others));
    retries.follow();
  };
  for (let round = 0; round < 6; round++) {
    lose();
    time.pass(60_000);
    drain(client);
    retries.follow();
    if (round < 5) time.pass(1000);
  }
  lose();
  time.pass(1000);
  assert.is(client.session.delivery("lds", lost)?.state, "refused", "the pauses have grown");
  time.pass(60_000);
  drain(client);
  retries.follow();
  time.pass(60_000);
  lose();
  time.pass(1000);
  drain(client);
  assert.is(client.session.delivery("lds", lost)?.state, "acknowledged");
  retries.stop();
});

test.run();
