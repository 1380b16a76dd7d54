import * as assert from "uvu/assert";
import { emptyConfig, type ProxyConfig } from "../../../src/envoy/resource.js";
import { suite } from "../../support/suite.js";
import { backend, type DataplaneSketch, generated, redis, viewOf } from "./meshes.js";
import { createSimulatedClient, type SimulatedClient } from "./simulated-client.js";

const test = suite("the delivery status of resources on a stream");

const configOf = (sketches: readonly DataplaneSketch[] = [backend, redis], connectTimeoutMs = 5000) =>
  generated(viewOf(sketches), "backend-1", { connectTimeoutMs }).config;

const states = (client: SimulatedClient, config: ProxyConfig) =>
  client.session.deliveries(config).map(({ kind, name, state }) => `${kind} ${name} ${state}`);

function drain(client: SimulatedClient, refused = ""): void {
  while (client.handle(({ name }) => name === refused));
}

const listeners = ["inbound:127.0.0.1:8000", "outbound:127.0.0.1:10000"];

test("changes step by step until all resources are acknowledged", () => {
  const client = createSimulatedClient();
  const config = configOf();
  client.connect(undefined);
  assert.is(client.session.delivery("cds", "redis"), undefined, "it was given none yet");
  const all = (clusters: string, endpoints: string, rest: string) => [
    `cds localhost:80 ${clusters}`,
    `cds redis ${clusters}`,
    `eds redis ${endpoints}`,
    ...listeners.map((name) => `lds ${name} ${rest}`),
  ];
  assert.equal(states(client, config), all("waiting", "unrequested", "waiting"));
  client.configure(config);
  assert.equal(states(client, config), all("sent", "unrequested", "waiting"));
  client.handle();
  assert.equal(states(client, config), all("acknowledged", "sent", "waiting"), "endpoints were asked for");
  client.handle();
  assert.equal(states(client, config), all("acknowledged", "acknowledged", "sent"));
  client.handle();
  assert.equal(states(client, config), all("acknowledged", "acknowledged", "acknowledged"));
  const held = client.session.delivery("lds", "inbound:127.0.0.1:8000");
  assert.is(held?.held?.resource, config.lds.get("inbound:127.0.0.1:8000"));
  assert.is(held?.sent, held?.wanted);
  assert.is(client.session.delivery("lds", "nobody's"), undefined);
});

test("is waiting for a configuration that the stream does not have yet", () => {
  const client = createSimulatedClient();
  client.connect(configOf());
  drain(client);
  const next = configOf(undefined, 1000);
  assert.ok(states(client, next).includes("cds redis waiting"));
  assert.ok(states(client, next).includes("eds redis acknowledged"));
  client.configure(next);
  assert.ok(states(client, next).includes("cds redis sent"));
  const delivery = client.session.delivery("cds", "redis");
  assert.is(delivery?.held?.resource, configOf().cds.get("redis"));
  assert.is(delivery?.sent, next.cds.get("redis"));
  assert.is(client.session.delivery("eds", "redis")?.state, "sent", "a changed cluster wants its endpoints again");
  drain(client);
  assert.ok(states(client, next).every((text) => text.endsWith(" acknowledged")));
});

test("keeps the error message of a rejected resource until another version is sent", () => {
  const client = createSimulatedClient();
  const config = configOf();
  client.connect(config);
  drain(client, "redis");
  const refused = client.session.delivery("cds", "redis");
  assert.is(refused?.state, "refused");
  assert.is(refused?.reason, "cannot take redis");
  assert.is(refused?.sent, config.cds.get("redis"));
  assert.is(refused?.held, undefined);
  assert.ok(states(client, config).includes("cds localhost:80 acknowledged"));
  client.configure(configOf(undefined, 1000));
  assert.is(client.session.delivery("cds", "redis")?.reason, undefined);
  drain(client);
  assert.is(client.session.delivery("cds", "redis")?.state, "acknowledged");
});

test("shows removals without a wanted resource, and forgets them once acknowledged", () => {
  const client = createSimulatedClient();
  client.connect(configOf());
  drain(client);
  client.configure(emptyConfig);
  const leaving = client.session.delivery("lds", "inbound:127.0.0.1:8000");
  assert.equal([leaving?.state, leaving?.wanted, leaving?.sent], ["sent", undefined, undefined]);
  assert.ok(leaving?.held !== undefined);
  assert.is(client.session.delivery("cds", "redis")?.state, "waiting", "its listener goes first");
  drain(client);
  assert.equal(states(client, emptyConfig), []);
});

test("recognises a resource from an earlier stream if it is the current version", () => {
  const client = createSimulatedClient();
  client.connect(configOf());
  drain(client);
  assert.is(client.session.resumed, false);
  client.connect(configOf(undefined, 1000));
  assert.is(client.session.resumed, true);
  const [same, other] = ["inbound:127.0.0.1:8000", "redis"].map((name, index) =>
    client.session.delivery(index === 0 ? "lds" : "cds", name),
  );
  assert.is(same?.state, "acknowledged");
  assert.is(same?.held?.resource, same?.wanted);
  assert.is(other?.state, "sent");
  assert.is(other?.held?.resource, undefined);
  assert.is(other?.held?.version, configOf().cds.get("redis")?.version);
});

test.run();
