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

test("one counts as rejected for a transient reason, and nothing is sent before the retry", () => {
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

test("until then every report finds it missing, but only the first one as fresh", () => {
  const { client, lost, others } = served();
  client.session.compareListeners(new Set(others));
  const again = client.session.compareListeners(new Set(others));
  assert.equal(again, { missing: [lost], fresh: [], pending: false });
});

test("a proxy that has all listeners is sent nothing, and neither is one that reports unknown names", () => {
  const { client, names } = served();
  const before = client.responses.length;
  for (const present of [names, [...names, "made up", "__proto__", ""]]) {
    assert.equal(client.session.compareListeners(new Set(present)), { missing: [], fresh: [], pending: false });
  }
  client.session.retry();
  assert.equal(client.session.refusals(), []);
  assert.is(client.responses.length, before);
});

test("an unacknowledged listener is not missing, and the report must be repeated", () => {
  const client = createSimulatedClient();
  client.connect(configuration());
  while (client.responses.at(-1)?.kind !== "lds") client.handle();
  assert.equal(client.session.compareListeners(new Set()), { missing: [], fresh: [], pending: true });
  drain(client);
  assert.equal(client.session.refusals(), []);
  assert.is(client.session.compareListeners(new Set()).pending, false);
});

test("a proxy without a configuration misses no listener", () => {
  const client = createSimulatedClient();
  client.connect(undefined);
  assert.equal(client.session.compareListeners(new Set()), { missing: [], fresh: [], pending: false });
});

test("Envoy's error message replaces ours when it rejects the retry, and it still has no version", () => {
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

test("one that changes is sent immediately, without waiting for the retry", () => {
  const { client, names } = served();
  client.session.compareListeners(new Set(names.filter((name) => name !== inbound)));
  client.configure(configuration(5000, leadingTo(81)));
  drain(client);
  assert.equal(listenersSent(client).at(-1), [inbound]);
  assert.equal(client.session.refusals(), []);
  assert.is(client.session.delivery("lds", inbound)?.state, "acknowledged");
});

test("one that is deleted is removed: Envoy still lists it when it reconnects", () => {
  const { client, names } = served();
  client.session.compareListeners(new Set(names.filter((name) => name !== inbound)));
  client.configure(configuration(5000, { ...backend, inbound: [] }));
  drain(client);
  assert.ok(client.responses.some(({ kind, removed }) => kind === "lds" && removed.includes(inbound)));
  assert.equal(client.session.refusals(), []);
  assert.not.ok(client.session.retriable());
});

test("one whose newer version is rejected is not shown with the earlier version, which is lost too", () => {
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

test("a proxy that reconnects and claims to have it is detected by the next report", () => {
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

test("reports that alternate between none and all do not cause retries faster than the backoff", () => {
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

test("after a minute without rejections another loss is retried within a second", () => {
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
