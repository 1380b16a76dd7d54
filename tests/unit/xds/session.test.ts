import * as assert from "uvu/assert";
import { type EnvoyResource, emptyConfig, type ProxyConfig } from "../../../src/envoy/resource.js";
import { wanted } from "../../../src/xds/configuration/due.js";
import { createSession, type Request } from "../../../src/xds/configuration/session.js";
import { createSubscription, forget, noteSent } from "../../../src/xds/configuration/subscription.js";
import { LimitExceeded } from "../../../src/xds/limits.js";
import type { Response } from "../../../src/xds/response.js";
import { runSeed } from "../../support/random.js";
import { suite } from "../../support/suite.js";
import { drain, driveClients } from "./many-clients.js";
import { backend, type DataplaneSketch, generated, redis, viewOf } from "./meshes.js";
import { createSimulatedClient, type SimulatedClient } from "./simulated-client.js";

const test = suite("a discovery session");

const names = (response: Response | undefined) => response?.resources.map((resource) => resource.name);

/** Whether the client has exactly the generated resources. */
function assertHas(client: SimulatedClient, config: ProxyConfig, message = ""): void {
  for (const kind of ["cds", "eds", "lds"] as const) {
    const has = [...client.resources[kind]].map(([name, { version }]) => `${name} ${version}`).sort();
    const wanted = [...config[kind]].map(([name, { version }]) => `${name} ${version}`).sort();
    assert.equal(has, wanted, `${kind} ${message}`);
  }
}

const backendConfig = (sketches: readonly DataplaneSketch[] = [backend, redis], connectTimeoutMs = 5000) =>
  generated(viewOf(sketches), "backend-1", { connectTimeoutMs }).config;

function bare() {
  const sent: Response[] = [];
  const session = createSession({ send: (response) => sent.push(response), acknowledged() {}, refused() {} });
  const ask = (about: Partial<Request> & Pick<Request, "kind">) =>
    session.request({
      nonce: "",
      refusal: undefined,
      subscribe: [],
      unsubscribe: [],
      initialVersions: new Map(),
      ...about,
    });
  return { sent, session, ask };
}

test("sends a new client all resources: clusters before endpoints before listeners", () => {
  const client = createSimulatedClient();
  const config = backendConfig();
  client.connect(config);
  drain(client);
  assertHas(client, config);
  assert.equal(
    client.responses.map((response) => response.kind),
    ["cds", "eds", "lds"],
  );
});

test("sends nothing when nothing changed", () => {
  const client = createSimulatedClient();
  client.connect(backendConfig());
  drain(client);
  const before = client.responses.length;
  client.configure(backendConfig());
  assert.is(client.responses.length, before);
});

test("answers the first wildcard requests even with nothing", () => {
  const { sent, session, ask } = bare();
  session.configure(emptyConfig);
  ask({ kind: "cds" });
  ask({ kind: "cds", nonce: sent[0]?.nonce ?? "" });
  ask({ kind: "lds" });
  assert.equal(
    sent.map(({ kind, resources, removed }) => [kind, resources.length, removed.length]),
    [
      ["cds", 0, 0],
      ["lds", 0, 0],
    ],
  );
});

test("sends nothing to a client whose Dataplane is unknown, whatever its initial versions", () => {
  const { sent, ask } = bare();
  ask({ kind: "cds", initialVersions: new Map([["redis", "v1"]]) });
  ask({ kind: "lds", initialVersions: new Map([["outbound:127.0.0.1:10000", "v1"]]) });
  assert.is(sent.length, 0);
});

test("on reconnect sends only what differs, and removes what no longer exists", () => {
  const client = createSimulatedClient();
  client.connect(backendConfig());
  drain(client);

  client.connect(backendConfig());
  drain(client);
  assert.is(
    client.responses.reduce((count, { resources, removed }) => count + resources.length + removed.length, 0),
    0,
  );

  const lonely = backendConfig([{ ...backend, outbound: [] }, redis]);
  client.connect(lonely);
  drain(client);
  assertHas(client, lonely);
  assert.equal(client.responses.flatMap((response) => response.removed).sort(), ["outbound:127.0.0.1:10000", "redis"]);
});

test("sends the assignment again right after a changed cluster, although it is unchanged", () => {
  const client = createSimulatedClient();
  client.connect(backendConfig());
  drain(client);
  const before = client.responses.length;
  client.configure(backendConfig(undefined, 1000));
  const [clusters, endpoints] = client.responses.slice(before);
  assert.equal(names(clusters), ["localhost:80", "redis"]);
  assert.is(endpoints?.kind, "eds");
  assert.equal(names(endpoints), ["redis"]);
  drain(client);
  assert.equal(
    client.responses.slice(before).map((response) => response.kind),
    ["cds", "eds"],
  );
});

test("sends the assignment of a cluster that changed while the client was disconnected", () => {
  const client = createSimulatedClient();
  client.connect(backendConfig());
  drain(client);
  client.connect(backendConfig(undefined, 1000));
  drain(client);
  assert.equal(
    client.responses.filter((response) => response.kind === "eds").map((response) => names(response)),
    [["redis"]],
  );
});

test("sends equal proxies equal responses, nonces included, and never repeats a nonce on a stream", () => {
  const [one, two] = [createSimulatedClient(), createSimulatedClient()];
  for (const client of [one, two]) {
    client.connect(backendConfig());
    drain(client);
  }
  assert.equal(one.responses, two.responses);
  for (const timeout of [1000, 5000, 1000, 5000]) {
    one.configure(backendConfig(undefined, timeout));
    drain(one);
  }
  const nonces = one.responses.map((response) => `${response.kind} ${response.nonce}`);
  assert.is(new Set(nonces).size, nonces.length);
  const contents = nonces.map((nonce) => nonce.slice(0, nonce.lastIndexOf("-")));
  assert.ok(new Set(contents).size < contents.length, "some content was sent again");
});

test("equal changes at the same time have equal nonces on all streams, whatever each was sent before", () => {
  const [old, young] = [createSimulatedClient(), createSimulatedClient()];
  old.connect(backendConfig());
  drain(old);
  for (const timeout of [1000, 5000, 1000]) {
    old.configure(backendConfig(undefined, timeout));
    drain(old);
  }
  young.connect(backendConfig(undefined, 1000));
  drain(young);
  const before = [old, young].map((client) => client.responses.length);
  for (const timeout of [5000, 1000, 2000]) {
    for (const client of [old, young]) {
      client.configure(backendConfig(undefined, timeout));
      drain(client);
    }
  }
  assert.equal(old.responses.slice(before[0]), young.responses.slice(before[1]));
});

test("after a rejection sends each resource alone, once, and keeps the others", () => {
  const client = createSimulatedClient();
  const config = backendConfig();
  client.connect(config);
  drain(client, (resource) => resource.name === "localhost:80");
  assert.equal([...client.resources.cds.keys()], ["redis"]);
  assert.equal([...client.resources.lds.keys()].sort(), ["inbound:127.0.0.1:8000", "outbound:127.0.0.1:10000"]);
  const times = client.responses.filter((response) => names(response)?.includes("localhost:80")).length;
  assert.is(times, 2);
  assert.match(client.session.refusals()[0]?.reason ?? "", "cannot take localhost:80");

  client.configure(backendConfig());
  assert.not.ok(client.handle(), "refused content is not sent again");
  client.configure(backendConfig(undefined, 1000));
  drain(client);
  assertHas(client, backendConfig(undefined, 1000));
});

const taken = "cannot bind '127.0.0.1:80': Address already in use";

test("a listener whose port is taken is sent again on a retry, and counts as rejected until the proxy accepts it", () => {
  const client = createSimulatedClient();
  const config = backendConfig();
  const [name = ""] = config.lds.keys();
  const refuse = (resource: EnvoyResource) => resource.name === name;
  client.connect(config);
  while (client.handle(refuse, taken));
  const { session } = client;
  const refused = session.refusals();
  assert.equal(refused, [{ kind: "lds", name, reason: `${taken} ${name}` }]);
  assert.ok(session.retriable());

  const before = client.responses.length;
  session.retry();
  session.retry();
  assert.is(client.responses.length, before + 1, "once until the proxy has answered");
  assert.is(session.refusals(), refused);
  while (client.handle(refuse, taken));
  assert.is(client.responses.length, before + 1);
  assert.is(session.refusals(), refused, "nobody hears of a refusal that stays the same");

  session.retry();
  drain(client);
  assertHas(client, config);
  assert.is(session.refusals().length, 0);
  assert.not.ok(session.retriable());
  session.retry();
  assert.not.ok(client.handle());
});

test("of two listeners whose ports were taken, a retry delivers the one whose port is free now", () => {
  const client = createSimulatedClient();
  const config = backendConfig();
  client.connect(config);
  while (client.handle((resource) => config.lds.has(resource.name), taken));
  const [first = "", second = ""] = config.lds.keys();
  assert.is(client.session.refusals().length, config.lds.size);
  client.session.retry();
  while (client.handle((resource) => resource.name === first, taken));
  assert.ok(client.resources.lds.has(second));
  assert.equal(
    client.session.refusals().map(({ name }) => name),
    [first],
  );
});

test("an invalid resource is not retried", () => {
  const client = createSimulatedClient();
  client.connect(backendConfig());
  drain(client, (resource) => resource.name === "localhost:80");
  assert.not.ok(client.session.retriable());
  client.session.retry();
  assert.not.ok(client.handle());
});

test("removes listeners before the clusters they use, and does not empty assignments before that", () => {
  const client = createSimulatedClient();
  client.connect(backendConfig());
  drain(client);
  const before = client.responses.length;
  client.configure(emptyConfig);
  drain(client);
  const sent = client.responses.slice(before);
  assert.equal(
    sent.map(({ kind, resources, removed }) => [kind, resources.length, [...removed].sort()]),
    [
      ["lds", 0, ["inbound:127.0.0.1:8000", "outbound:127.0.0.1:10000"]],
      ["cds", 0, ["localhost:80", "redis"]],
    ],
  );
  assertHas(client, emptyConfig);
});

test("sends an empty assignment for a service without endpoints and for an unknown name", () => {
  const { sent, session, ask } = bare();
  session.configure(backendConfig([backend]));
  ask({ kind: "eds", subscribe: ["redis", "elsewhere"] });
  assert.equal(names(sent[0]), ["redis", "elsewhere"]);
  assert.equal(sent[0]?.removed, []);
});

test("sends a resource again after its name was unsubscribed, even while a response is unacknowledged", () => {
  const { sent, session, ask } = bare();
  session.configure(backendConfig());
  ask({ kind: "eds", subscribe: ["redis"] });
  ask({ kind: "eds", unsubscribe: ["redis"] });
  ask({ kind: "eds", subscribe: ["redis"] });
  assert.is(sent.length, 1);
  ask({ kind: "eds", nonce: sent[0]?.nonce ?? "" });
  assert.equal(names(sent[1]), ["redis"]);
  assert.is.not(sent[1]?.nonce, sent[0]?.nonce);
});

test("has at most one unacknowledged response of a type, and then sends the newest state", () => {
  const { sent, session, ask } = bare();
  session.configure(backendConfig());
  ask({ kind: "eds", subscribe: ["redis"] });
  for (const port of [9001, 9002, 9003]) {
    const moved = { ...redis, inbound: [{ interface: `127.0.0.1:${port}:6379`, tags: { service: "redis" } }] };
    session.configure(backendConfig([backend, moved]));
  }
  assert.is(sent.length, 1);
  ask({ kind: "eds", nonce: sent[0]?.nonce ?? "" });
  const moved = { ...redis, inbound: [{ interface: "127.0.0.1:9003:6379", tags: { service: "redis" } }] };
  assert.is(sent.length, 2);
  assert.is(sent[1]?.resources[0], backendConfig([backend, moved]).eds.get("redis"));
});

test("ignores a nonce that is not the last one", () => {
  const { sent, session, ask } = bare();
  session.configure(backendConfig());
  ask({ kind: "eds", subscribe: ["redis"] });
  ask({ kind: "eds", nonce: "stale", refusal: "no" });
  assert.is(session.refusals().length, 0);
  assert.is(sent.length, 1);
});

const raw = (name: string, more: Partial<EnvoyResource> = {}): EnvoyResource => ({
  name,
  version: name,
  bytes: new Uint8Array(),
  clusters: [],
  edsName: undefined,
  raw: true,
  ...more,
});

test("a changed cluster's assignment is sent again under its EDS service name, whatever the cluster's name", () => {
  const { sent, session, ask } = bare();
  const withCluster = (version: string): ProxyConfig => {
    const config = backendConfig();
    return { ...config, cds: new Map([...config.cds, ["mine", raw("mine", { version, edsName: "redis" })]]) };
  };
  const acknowledge = () => {
    for (let index = 0; index < sent.length; index++) {
      const { kind, nonce } = sent[index] as Response;
      ask({ kind, nonce });
    }
  };
  session.configure(withCluster("1"));
  ask({ kind: "cds" });
  ask({ kind: "eds", subscribe: ["redis"] });
  acknowledge();
  sent.length = 0;
  session.configure(withCluster("2"));
  acknowledge();
  assert.equal(
    sent.map((response) => [response.kind, ...(names(response) ?? [])]),
    [
      ["cds", "mine"],
      ["eds", "redis"],
    ],
  );
  sent.length = 0;
  // Both clusters are removed; the name that both requested stays unchanged until the client unsubscribes.
  session.configure({ ...withCluster("2"), cds: new Map(), eds: new Map() });
  assert.equal(
    sent.map(({ kind }) => kind),
    ["cds"],
  );
});

test("a cluster that a client's routes use stays until the routes are removed", () => {
  const { sent, session, ask } = bare();
  const config = backendConfig();
  const cds = new Map([
    ["old", raw("old")],
    ["new", raw("new")],
  ]);
  const routes = (version: string) => new Map([["r", raw("r", { version, clusters: [version] })]]);
  session.configure({ ...config, cds, rds: routes("old") });
  ask({ kind: "cds" });
  ask({ kind: "rds", subscribe: ["r"] });
  for (let index = 0; index < sent.length; index++)
    ask({ kind: sent[index]?.kind ?? "cds", nonce: sent[index]?.nonce ?? "" });
  sent.length = 0;
  session.configure({ ...config, cds: new Map([["new", raw("new")]]), rds: routes("new") });
  assert.equal(
    sent.map(({ kind }) => kind),
    ["rds"],
  );
  ask({ kind: "rds", nonce: sent[0]?.nonce ?? "" });
  assert.equal(sent[1]?.removed, ["old"]);
});

test("sends raw resources one by one, after the generated ones", () => {
  const { sent, session, ask } = bare();
  const config = backendConfig();
  session.configure({ ...config, cds: new Map([["raw-1", raw("raw-1")], ...config.cds, ["raw-2", raw("raw-2")]]) });
  ask({ kind: "cds" });
  for (let index = 0; index < 3; index++) ask({ kind: "cds", nonce: sent[index]?.nonce ?? "" });
  assert.equal(
    sent.map((response) => names(response)),
    [["localhost:80", "redis"], ["raw-1"], ["raw-2"]],
  );
});

test("50 clients end with exactly the generated resources after changes, rejections, reconnects and unsubscribes", () => {
  driveClients({
    createClient: createSimulatedClient,
    rounds: 400,
    act: (client, service) => client.resubscribe(service),
    afterRound(client, config) {
      for (const { kind, name, state, wanted } of client.session.deliveries(config)) {
        if (state !== "acknowledged" || kind === "rds" || kind === "sds") continue;
        assert.is(client.resources[kind].get(name)?.version, wanted?.version, `${kind} ${name}; TEST_SEED=${runSeed}`);
      }
    },
    atRest(client, config, message) {
      assertHas(client, config, message);
      assert.ok(client.session.deliveries(config).every(({ state }) => state === "acknowledged"));
    },
  });
});

/** The limit that a request exceeds. */
function exceeded(ask: () => void): string {
  try {
    ask();
    return "none";
  } catch (error) {
    if (error instanceof LimitExceeded) return error.limit;
    throw error;
  }
}

const many = (count: number, prefix = "n") => Array.from({ length: count }, (_, index) => `${prefix}${index}`);

test("lets a client request as many names as it has clusters and a hundred more, in one request or in several", () => {
  const clusters = backendConfig().cds.size;
  for (const kind of ["eds", "cds", "sds"] as const) {
    const { session, ask } = bare();
    session.configure(backendConfig());
    assert.is(
      exceeded(() => ask({ kind, subscribe: many(clusters + 100) })),
      "none",
    );
    assert.is(
      exceeded(() => ask({ kind, subscribe: many(50) })),
      "none",
      "the same names again",
    );
    assert.is(
      exceeded(() => ask({ kind, subscribe: ["one more"] })),
      "names",
    );
  }
  const { session, ask } = bare();
  session.configure(backendConfig());
  assert.is(
    exceeded(() => ask({ kind: "eds", subscribe: many(clusters + 101) })),
    "names",
  );
});

test("lets a reconnecting client request the endpoints of all clusters in its initial versions", () => {
  const { session, ask, sent } = bare();
  session.configure(emptyConfig);
  const held = many(5_000);
  ask({ kind: "cds", initialVersions: new Map(held.map((name) => [name, "v"])) });
  assert.is(
    exceeded(() => ask({ kind: "eds", subscribe: held })),
    "none",
  );
  assert.is(sent.find(({ kind }) => kind === "eds")?.resources.length, 5_000);
  assert.is(
    exceeded(() => ask({ kind: "eds", subscribe: many(101, "more") })),
    "names",
  );
});

test("accepts any number of names that fits a request from a client with an unknown Dataplane", () => {
  const { ask, sent } = bare();
  assert.is(
    exceeded(() => ask({ kind: "eds", subscribe: many(20_000) })),
    "none",
  );
  assert.equal(sent, []);
});

test("rejects names longer than any generated one, and keeps none that a client unsubscribed from", () => {
  const { session, ask } = bare();
  session.configure(backendConfig());
  assert.is(
    exceeded(() => ask({ kind: "eds", subscribe: ["n".repeat(1_024)] })),
    "none",
  );
  assert.is(
    exceeded(() => ask({ kind: "eds", subscribe: ["n".repeat(1_025)] })),
    "name_length",
  );
  const long = new Map([["n".repeat(1_025), "v"]]);
  assert.is(
    exceeded(() => ask({ kind: "cds", initialVersions: long })),
    "name_length",
  );
});

test("does not remember names that are subscribed and unsubscribed while a response is unacknowledged", () => {
  const subscription = createSubscription("eds");
  const [resource] = backendConfig().eds.values();
  noteSent(subscription, { kind: "eds", resources: resource === undefined ? [] : [resource], removed: [], nonce: "1" });
  forget(subscription, resource?.name ?? "");
  for (const name of many(10_000)) forget(subscription, name);
  const stale = subscription.unacknowledged?.stale;
  assert.ok((stale?.size ?? 0) < 200);
  assert.is(stale?.has(resource?.name ?? ""), true);
});

test("creates the empty assignment for an unknown name once", () => {
  const subscription = createSubscription("eds");
  const answer = wanted(subscription, emptyConfig, "unknown");
  assert.is(wanted(subscription, emptyConfig, "unknown"), answer);
  forget(subscription, "unknown");
  assert.is(subscription.empty?.size, 0);
});

test.run();
