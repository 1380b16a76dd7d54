import * as assert from "uvu/assert";
import { emptyConfig, type ProxyConfig } from "../../../src/envoy/resource.js";
import { suite } from "../../support/suite.js";
import { drain, driveClients } from "./many-clients.js";
import { backend, type DataplaneSketch, generated, redis, viewOf } from "./meshes.js";
import { createSotwClient, type SotwClient } from "./sotw-client.js";

const test = suite("state of the world over the session engine");

function assertHas(client: SotwClient, config: ProxyConfig, message = ""): void {
  for (const kind of ["cds", "eds", "lds"] as const) {
    const text = (name: string, bytes: Uint8Array) => `${name} ${Buffer.from(bytes).toString("base64")}`;
    const has = [...client.has[kind]].map(([name, bytes]) => text(name, bytes)).sort();
    const wanted = [...config[kind]].map(([name, { bytes }]) => text(name, bytes)).sort();
    assert.equal(has, wanted, `${kind} ${message}`);
  }
}

const configOf = (sketches: readonly DataplaneSketch[] = [backend, redis], connectTimeoutMs = 5000) =>
  generated(viewOf(sketches), "backend-1", { connectTimeoutMs }).config;

const other: DataplaneSketch = {
  ...backend,
  outbound: [...(backend.outbound ?? []), { interface: ":10001", service: "web" }],
};

test("a new client gets all resources: clusters before endpoints before listeners", () => {
  const client = createSotwClient();
  client.connect(configOf());
  drain(client);
  assertHas(client, configOf());
  assert.equal(
    client.answers.map(({ kind }) => kind),
    ["cds", "eds", "lds"],
  );
});

test("a first request gets a response even if it is empty, but an unknown proxy gets no response", () => {
  const known = createSotwClient();
  known.connect(emptyConfig);
  drain(known);
  assert.equal(
    known.answers.map(({ kind, resources }) => `${kind} ${resources.size}`),
    ["cds 0", "lds 0"],
  );
  const unknown = createSotwClient();
  unknown.connect(undefined);
  assert.is(unknown.answers.length, 0);
});

test("a listener whose port was taken is sent again in a full state, with all accepted listeners", () => {
  const client = createSotwClient();
  const config = configOf();
  const [name = ""] = config.lds.keys();
  client.connect(config);
  while (client.handle((resource) => resource === name, "cannot bind '127.0.0.1:80': Address already in use"));
  assert.is(client.has.lds.size, config.lds.size - 1);
  client.session.retry();
  drain(client);
  assertHas(client, config);
});

test("equal content is never sent twice, and a changed cluster is sent with its endpoints", () => {
  const client = createSotwClient();
  client.connect(configOf());
  drain(client);
  const before = client.answers.length;
  client.configure(configOf());
  assert.is(client.answers.length, before);
  client.configure(configOf([backend, redis], 1000));
  drain(client);
  assert.equal(
    client.answers.slice(before).map(({ kind, resources }) => `${kind} ${[...resources.keys()].join()}`),
    ["cds localhost:80,redis", "eds redis"],
  );
  assertHas(client, configOf([backend, redis], 1000));
});

test("a cluster is removed only after the listener that used it, in a response of its own", () => {
  const client = createSotwClient();
  client.connect(configOf([other, redis]));
  drain(client);
  const before = client.answers.length;
  client.configure(configOf());
  drain(client);
  assert.equal(
    client.answers.slice(before).map(({ kind, resources }) => `${kind} ${resources.size}`),
    ["lds 2", "cds 2"],
  );
  assertHas(client, configOf());
});

test("endpoints requested again with an acknowledged nonce are sent again; stale requests are ignored", () => {
  const client = createSotwClient();
  client.connect(configOf());
  drain(client);
  const eds = client.answers.find(({ kind }) => kind === "eds");
  const before = client.answers.length;
  client.ask("eds", ["redis"], eds?.nonce);
  assert.is(client.answers.length, before + 1);
  assert.equal([...(client.answers.at(-1)?.resources.keys() ?? [])], ["redis"]);
  assert.is.not(client.answers.at(-1)?.nonce, eds?.nonce);
  client.ask("eds", ["redis"], eds?.nonce);
  client.ask("eds", ["redis", "web"], "made up");
  assert.is(client.answers.length, before + 1);
});

test("every requested name gets a response, with an empty assignment if it is unknown", () => {
  const client = createSotwClient();
  client.connect(configOf());
  drain(client);
  client.ask("eds", ["redis", "strange"]);
  assert.equal([...(client.answers.at(-1)?.resources.keys() ?? [])], ["strange"]);
});

test("a rejected resource is sent alone once, delays nothing else, and is not sent again", () => {
  const client = createSotwClient();
  client.connect(configOf());
  const refuse = (name: string) => name === "redis";
  for (let steps = 0; client.handle(refuse); steps++) assert.ok(steps < 100);
  assert.equal([...client.has.cds.keys()], ["localhost:80"]);
  assert.equal(
    client.session.refusals().map(({ name }) => name),
    ["redis"],
  );
  const before = client.answers.length;
  client.configure(configOf());
  assert.is(client.answers.length, before);
  client.configure(configOf([backend, redis], 1000));
  drain(client);
  assertHas(client, configOf([backend, redis], 1000));
});

test("50 clients end with exactly the generated resources after changes, rejections and reconnects", () => {
  driveClients({ createClient: createSotwClient, rounds: 300, atRest: assertHas });
});

test.run();
