import * as assert from "uvu/assert";
import {
  type ConfigDiff,
  type ConfigDump,
  createDiagnosis,
  type DiagnosisOptions,
} from "../../../src/cp/explain/diagnosis.js";
import type { MeshProblems } from "../../../src/cp/explain/mesh-problems.js";
import { connectTimeoutMs, generate } from "../../../src/envoy/generate.js";
import { createPlacement } from "../../../src/envoy/placement.js";
import { createAuthorities, type ReadState } from "../../../src/identity/authorities.js";
import type { DataplanePolicies } from "../../../src/policy/dataplane-policies.js";
import type { TrafficExplanation } from "../../../src/policy/explain/explanation.js";
import type { DataplaneInsight } from "../../../src/resources/dataplane-insight.js";
import { registry } from "../../../src/resources/registry.js";
import { createMemoryStore } from "../../../src/store/memory.js";
import type { Stored } from "../../../src/store/store.js";
import { apply, emptyView } from "../../../src/view/apply.js";
import type { ProxyStream } from "../../../src/xds/configuration/proxies.js";
import type { IssuedIdentity } from "../../../src/xds/secrets/identities.js";
import type { ProxySecrets } from "../../../src/xds/secrets/server.js";
import { bundleVersion } from "../../../src/xds/secrets/stream.js";
import { dataplane, meshRecord, permission, stored } from "../../support/mesh-view.js";
import { suite } from "../../support/suite.js";
import { createSimulatedClient, type SimulatedClient } from "../xds/simulated-client.js";
import { type Answer, fields, silent, stage, words } from "./stage.js";

const test = suite("explanations over the HTTP API");

const web = dataplane("web-1", {
  inbound: [{ interface: "10.0.0.1:8000:80", tags: { service: "web" } }],
  outbound: [{ interface: ":10000", service: "redis" }],
});
const redis = dataplane("redis-1", { inbound: [{ interface: "10.0.0.2:9000:6379", tags: { service: "redis" } }] });
const allowed = permission("web-to-redis", {
  sources: [{ match: { service: "web" } }],
  destinations: [{ match: { service: "redis" } }],
});
const all = [meshRecord(), web, redis, allowed];

const placement = createPlacement({ logDirectories: ["/tmp", "/var/log/app"] });
const surroundings = { connectTimeoutMs, secretServer: { target: "cp:5677", root: "root" } };

/** The API over a view with these resources; proxies connect as the test says. */
async function open(resources: readonly Stored[] = all, options: Partial<DiagnosisOptions> = {}) {
  let view = apply(emptyView, { kind: "listing", sequence: 1, resources }, new Map());
  const store = createMemoryStore(registry);
  const clients = new Map<string, SimulatedClient[]>();

  const config = (name: string) => {
    const mesh = view.get("m");
    const proxy = mesh?.proxies.get(name);
    if (mesh === undefined || proxy === undefined) throw new Error(`there is no ${name}`);
    return generate(proxy, mesh, surroundings).config;
  };
  const streamOf = (name: string, client: SimulatedClient): ProxyStream => ({
    since: new Date("2026-10-01T09:30:00Z"),
    resumed: client.session.resumed,
    placement,
    delivery: client.session.delivery,
    deliveries: () => client.session.deliveries(config(name)),
  });
  const authorities = createAuthorities(store, { keyType: "ecdsa-p256", validityMs: 3_600_000 }, silent);
  const diagnosis = createDiagnosis({
    view: () => view,
    store,
    xds: { streams: ({ name }) => (clients.get(name) ?? []).map((client) => streamOf(name, client)) },
    secrets: { proxies: () => new Map() },
    authorities,
    instanceId: "here",
    now: () => new Date("2026-10-01T10:00:00Z"),
    ...options,
  });
  const api = await stage({ store, diagnosis });
  return {
    api,
    store,
    becomes(...now: readonly Stored[]) {
      view = apply(view, { kind: "listing", sequence: 2, resources: now }, new Map());
    },
    /** A proxy connects and acknowledges everything, except resources of one name. */
    connect(name: string, refused = ""): SimulatedClient {
      const client = createSimulatedClient();
      client.connect(config(name));
      while (client.handle((resource) => resource.name === refused));
      clients.set(name, [...(clients.get(name) ?? []), client]);
      return client;
    },
    configure: (name: string, client: SimulatedClient) => client.configure(config(name)),
    insight: (name: string, spec: DataplaneInsight) =>
      store.create({ type: "DataplaneInsight", mesh: "m", name, spec }),
  };
}

const causes = ({ json }: Answer) => (json as { causes: { message: string }[] }).causes.map(({ message }) => message);

test("a log file that the proxy does not allow is named, with the setting to change", async () => {
  const backends = ["/tmp/a.log", "/etc/cron.d/x"].map((path, index) => ({ name: `f${index}`, file: { path } }));
  const mesh = stored("Mesh", "m", { logging: { backends } });
  const logs = backends.map(({ name }) =>
    stored("TrafficLog", name, {
      sources: [{ match: { service: "*" } }],
      destinations: [{ match: { service: "*" } }],
      conf: { backend: name },
    }),
  );
  const { api, connect } = await open([mesh, web, redis, ...logs]);
  const policies = async () => {
    const { json } = await api.get("/meshes/m/dataplanes/web-1/policies");
    return (json as DataplanePolicies).outbounds[0]?.trafficLogs.map(({ name, reason }) => [name, reason]);
  };
  const problems = async () => {
    const { json } = await api.get("/meshes/m/explain?from=web&to=redis");
    return (json as TrafficExplanation).problems.filter(({ code }) => code === "not-logged");
  };
  // Nothing is known about a proxy that is not connected here.
  assert.equal(await policies(), [
    ["f0", "all-apply"],
    ["f1", "all-apply"],
  ]);
  assert.equal(await problems(), []);
  connect("web-1");
  assert.equal(await policies(), [
    ["f0", "all-apply"],
    ["f1", "log-directory"],
  ]);
  assert.equal(await problems(), [
    {
      code: "not-logged",
      message:
        'connections of web-1 are not logged by backend "f1": no log file "/etc/cron.d/x" is allowed there (KUMA_DATAPLANE_LOG_DIRECTORIES)',
      dataplanes: ["web-1"],
    },
  ]);
});

test("the problems of a mesh are computed once for concurrent requests", async () => {
  const { api } = await open();
  const [first, ...others] = await Promise.all(Array.from({ length: 20 }, () => api.get("/meshes/m/problems")));
  const { mesh, complete, problems } = (first as Answer).json as MeshProblems;
  assert.equal([mesh, complete], ["m", true]);
  assert.ok(Array.isArray(problems));
  for (const { text } of others) assert.is(text, first?.text);
  const gone = await api.get("/meshes/n/problems");
  assert.is(gone.status, 404);
  assert.equal(fields(gone), ["mesh"]);
});

test("unknown names are 404 in the path and 400 in a parameter, with the nearest known one", async () => {
  const { api } = await open();
  const cases: readonly (readonly [target: string, status: number, field: string, message: string])[] = [
    ["/meshes/n/explain?from=web&to=redis", 404, "mesh", 'there is no Mesh "n"; known are "m"'],
    ["/meshes/x-y-z/dataplanes/web-1/xds", 404, "mesh", 'there is no Mesh "x-y-z"; known are "m"'],
    ["/meshes/m/explain?from=wep&to=redis", 400, "from", 'there is no service "wep" in mesh "m"; did you mean "web"?'],
    [
      "/meshes/m/explain?from=web&to=mysql",
      400,
      "to",
      'there is no service "mysql" in mesh "m"; known are "redis", "web"',
    ],
    [
      "/meshes/m/dataplanes/web1/policies",
      404,
      "name",
      'there is no Dataplane "web1" in mesh "m"; did you mean "web-1"?',
    ],
    [
      "/meshes/m/dataplanes/nothing/xds?diff=true",
      404,
      "name",
      'there is no Dataplane "nothing" in mesh "m"; known are "redis-1", "web-1"',
    ],
  ];
  for (const [target, status, field, message] of cases) {
    const answer = await api.get(target);
    assert.is(answer.status, status, target);
    assert.equal(fields(answer), [field]);
    assert.equal(causes(answer), [message]);
    assert.is(words(answer)[1], status === 404 ? "Not found" : "Request is not valid");
  }
});

test("missing and misspelt parameters are named", async () => {
  const { api } = await open();
  assert.equal(fields(await api.get("/meshes/m/explain?to=")), ["from", "to"]);
  assert.equal(fields(await api.get("/meshes/m/explain?from=web")), ["to"]);
  const diff = await api.get("/meshes/m/dataplanes/web-1/xds?diff=yes");
  assert.is(diff.status, 400);
  assert.equal(causes(diff), ['"yes" is not true or false']);
});

test("they are read-only, at paths of their own", async () => {
  const { api } = await open();
  for (const target of [
    "/status",
    "/meshes/m/problems",
    "/meshes/m/explain",
    "/meshes/m/dataplanes/web-1/xds",
    "/meshes/m/dataplanes/web-1/policies",
  ]) {
    assert.is((await api.call("PUT", target, {})).status, 405, target);
    assert.is((await api.call("DELETE", target)).status, 405, target);
  }
  assert.is((await api.call("HEAD", "/meshes/m/dataplanes/web-1/policies/")).status, 200);
  for (const target of [
    "/status/more",
    "/meshes/m/problems/more",
    "/meshes/m/explain/more",
    "/meshes/m/dataplanes/web-1/xsd",
    "/meshes/m/dataplanes/web-1/xds/more",
    "/meshes/m/traffic-logs/web-1/policies",
  ]) {
    assert.is((await api.get(target)).status, 404, target);
  }
  assert.match(String(words(await api.get("/meshes/m/explian"))[1]), 'did you mean "/meshes/m/explain"');
  assert.match(String(words(await api.get("/meshes/m/problem"))[1]), 'did you mean "/meshes/m/problems"');
  assert.match(String(words(await api.get("/statos"))[1]), 'did you mean "/status"');
  assert.is((await api.get("/meshes/m/dataplanes/policies")).status, 404, "a Dataplane may have any name");
});

const dumpOf = async ({ api }: Awaited<ReturnType<typeof open>>, name: string) =>
  (await api.get(`/meshes/m/dataplanes/${name}/xds`)).json as ConfigDump;
const diffOf = async ({ api }: Awaited<ReturnType<typeof open>>, name: string) =>
  (await api.get(`/meshes/m/dataplanes/${name}/xds?diff=true`)).json as ConfigDiff;

test("the last sent configuration is Envoy JSON, by resource", async () => {
  const mesh = await open([meshRecord(false), web, redis]);
  assert.equal(await dumpOf(mesh, "web-1"), { mesh: "m", dataplane: "web-1", streams: [], elsewhere: [] });
  mesh.connect("web-1", "localhost:80");
  const [stream, ...others] = (await dumpOf(mesh, "web-1")).streams;
  assert.is(others.length, 0);
  const found = stream?.resources.map(({ type, name, state, reason }) => [type, name, state, reason]);
  assert.equal(found, [
    ["cds", "localhost:80", "refused", "cannot take localhost:80"],
    ["cds", "redis", "acknowledged", undefined],
    ["eds", "redis", "acknowledged", undefined],
    ["lds", "inbound:10.0.0.1:8000", "acknowledged", undefined],
    ["lds", "outbound:127.0.0.1:10000", "acknowledged", undefined],
  ]);
  assert.equal(stream?.resources[2]?.resource, {
    "@type": "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
    clusterName: "redis",
    endpoints: [
      {
        lbEndpoints: [
          {
            endpoint: { address: { socketAddress: { address: "10.0.0.2", portValue: 9000 } } },
            metadata: { filterMetadata: { "envoy.lb": { service: "redis" } } },
          },
        ],
      },
    ],
  });
  const filter = JSON.stringify(stream?.resources[4]?.resource);
  assert.match(filter, '"@type":"type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"');
});

test("unacknowledged resources are compared with the current view, even before it is sent", async () => {
  const mesh = await open([meshRecord(false), web, redis]);
  assert.is((await diffOf(mesh, "web-1")).settled, false, "nobody is connected");
  const client = mesh.connect("web-1");
  assert.equal(await diffOf(mesh, "web-1"), {
    mesh: "m",
    dataplane: "web-1",
    settled: true,
    streams: [{ differences: [] }],
    missingSecrets: [],
    elsewhere: [],
  });
  const moved = dataplane("redis-1", { inbound: [{ interface: "10.0.0.3:9000:6379", tags: { service: "redis" } }] });
  mesh.becomes(meshRecord(false), web, moved);
  const waiting = await diffOf(mesh, "web-1");
  assert.is(waiting.settled, false);
  const [difference, ...others] = waiting.streams[0]?.differences ?? [];
  assert.is(others.length, 0);
  assert.equal([difference?.type, difference?.name, difference?.state], ["eds", "redis", "waiting"]);
  assert.match(JSON.stringify(difference?.wanted?.resource), "10.0.0.3");
  assert.match(JSON.stringify(difference?.acknowledged?.resource), "10.0.0.2");
  mesh.configure("web-1", client);
  assert.is((await diffOf(mesh, "web-1")).streams[0]?.differences[0]?.state, "sent");
  client.handle();
  assert.is((await diffOf(mesh, "web-1")).settled, true);
  mesh.becomes(meshRecord(false), { ...web, spec: { networking: { inbound: [] } } }, moved);
  const leaving = await diffOf(mesh, "web-1");
  assert.ok(leaving.streams[0]?.differences.every(({ wanted }) => wanted === undefined));
});

const identity = (services: readonly string[]): IssuedIdentity => ({
  services,
  certificateChain: "",
  privateKey: "",
  serial: "1",
  notBefore: new Date(0),
  notAfter: new Date("2026-10-31T10:00:00Z"),
});

test("with mTLS the secrets must be acknowledged as well, in their current content", async () => {
  const authority = { kind: "ready", bundle: "roots" } as Extract<ReadState, { kind: "ready" }>;
  const version = bundleVersion(authority);
  const taken = new Map<string, ProxySecrets>();
  const mesh = await open(all, { secrets: { proxies: () => taken }, authorities: { authority: () => authority } });
  mesh.connect("redis-1");
  const missing = async () => {
    const { settled, missingSecrets } = await diffOf(mesh, "redis-1");
    assert.is(settled, missingSecrets.length === 0);
    return missingSecrets.join(" ");
  };
  assert.is(await missing(), "identity_cert mesh_ca");
  const times = {
    certificateExpirationTime: "2026-10-31T10:00:00Z",
    lastCertificateRegeneration: "2026-10-01T09:45:00Z",
  };
  await mesh.insight("redis-1", { mTLS: { ...times, trustedRoots: "old" } });
  assert.is(await missing(), "mesh_ca", "another control plane served them, though not the present roots");
  for (const [trusted, services, expected] of [
    [[], undefined, "identity_cert mesh_ca"],
    [["old"], ["redis"], "mesh_ca"],
    [[version, undefined], ["redis"], "mesh_ca"],
    [[version], ["mysql"], "identity_cert"],
    [[version], ["redis"], ""],
  ] as const) {
    taken.set("redis-1", { trusted, identity: services && identity(services) });
    assert.is(await missing(), expected);
  }
});

const explain = async ({ api }: Awaited<ReturnType<typeof open>>) =>
  (await api.get("/meshes/m/explain?from=web&to=redis")).json as TrafficExplanation;

test("an explanation uses the streams of this control plane", async () => {
  const secrets = new Map([
    ["web-1", { trusted: [], identity: identity(["web"]) }],
    ["redis-1", { trusted: [], identity: identity(["redis"]) }],
  ]);
  const mesh = await open(all, { secrets: { proxies: () => secrets } });
  const offline = await explain(mesh);
  assert.equal([offline.verdict, offline.connects], ["allowed", "never"]);
  assert.equal(
    offline.problems.map(({ code, dataplanes }) => [code, dataplanes]),
    [["offline", ["web-1", "redis-1"]]],
  );
  mesh.connect("web-1");
  const client = mesh.connect("redis-1", "inbound:10.0.0.2:9000");
  const refusing = await explain(mesh);
  assert.equal([refusing.connects, refusing.problems.map(({ code }) => code)], ["never", ["refused"]]);
  assert.equal(refusing.routes[0]?.destinations[0]?.endpoints[0]?.listener, {
    state: "refused",
    reason: "cannot take inbound:10.0.0.2:9000",
  });
  client.connect(undefined);
  mesh.configure("redis-1", client);
  assert.is((await explain(mesh)).problems[0]?.code, "pending");
  while (client.handle());
  const well = await explain(mesh);
  assert.equal([well.verdict, well.connects, well.problems], ["allowed", "always", []]);
  assert.equal(well.sources[0]?.certificate, { state: "live", notAfter: "2026-10-31T10:00:00Z" });
  assert.not.match(JSON.stringify(well), "privateKey");

  mesh.becomes(meshRecord(), web, redis);
  const denied = await explain(mesh);
  assert.equal([denied.verdict, denied.connects], ["denied", "never"]);
});

test("a listener that was not sent yet is pending, not absent", async () => {
  const mesh = await open([meshRecord(false), { ...web, spec: { networking: { inbound: [] } } }, redis]);
  mesh.connect("web-1");
  mesh.connect("redis-1");
  mesh.becomes(meshRecord(false), web, redis);
  assert.equal((await explain(mesh)).sources[0]?.outbounds[0]?.listener, { state: "pending" });
});

test("a certificate of an earlier Envoy process does not count for the current one", async () => {
  const mesh = await open();
  const certificateExpirationTime = "2026-10-31T10:00:00Z";
  const taken = (lastCertificateRegeneration: string) => ({
    mTLS: { certificateExpirationTime, lastCertificateRegeneration },
  });
  await mesh.insight("web-1", taken("2026-10-01T09:00:00Z"));
  await mesh.insight("redis-1", taken("2026-10-01T09:45:00Z"));
  const client = mesh.connect("web-1");
  mesh.connect("redis-1");
  const states = async () => {
    const { sources, routes } = await explain(mesh);
    return [sources[0]?.certificate?.state, routes[0]?.destinations[0]?.endpoints[0]?.certificate?.state];
  };
  assert.equal(await states(), ["missing", "live"]);
  client.connect(undefined);
  mesh.configure("web-1", client);
  while (client.handle());
  assert.equal(await states(), ["live", "live"], "it brought its configuration along, and its certificate with it");
});

const subscription = (more: object = {}) => ({
  id: "1",
  controlPlaneInstanceId: "there",
  connectTime: "2026-10-01T09:00:00Z",
  status: { total: { responsesSent: "3", responsesAcknowledged: "3" } },
  ...more,
});

test("an explanation uses the records of other control planes", async () => {
  const mTLS = { certificateExpirationTime: "2026-10-31T10:00:00Z" };
  const mesh = await open();
  await mesh.insight("web-1", { mTLS, subscriptions: [subscription()] });
  const status = {
    total: { responsesSent: "3", responsesAcknowledged: "2", responsesRejected: "1" },
    refused: [{ type: "lds", name: "inbound:10.0.0.2:9000", reason: "cannot bind" }],
  };
  await mesh.insight("redis-1", { mTLS, subscriptions: [subscription({ status })] });
  const { sources, routes, connects } = await explain(mesh);
  assert.is(connects, "never");
  assert.equal(sources[0]?.online, true);
  assert.equal(sources[0]?.outbounds[0]?.listener, { state: "unknown" });
  assert.equal(routes[0]?.destinations[0]?.endpoints[0]?.listener, { state: "refused", reason: "cannot bind" });
  assert.equal((await dumpOf(mesh, "web-1")).elsewhere, ["there"]);
});

test("only the streams of this control plane count, not its records", async () => {
  const mesh = await open();
  await mesh.insight("web-1", { subscriptions: [subscription({ controlPlaneInstanceId: "here" })] });
  await mesh.insight("redis-1", {
    mTLS: { refusal: { time: "2026-10-01T09:00:00Z", reason: "the token is invalid" } },
    subscriptions: [subscription({ status: { total: { responsesSent: "2", responsesAcknowledged: "1" } } })],
  });
  const { sources, routes, problems } = await explain(mesh);
  assert.is(sources[0]?.online, false);
  assert.equal((await dumpOf(mesh, "web-1")).elsewhere, []);
  assert.equal(routes[0]?.destinations[0]?.endpoints[0]?.listener, { state: "pending" });
  assert.match(problems.map(({ message }) => message).join("\n"), "no certificate for redis-1: the token is invalid");
});

test.run();
