import { load } from "js-yaml";
import * as assert from "uvu/assert";
import { bootstrapDocument } from "../../../src/cp/bootstrap/document.js";
import { createDuplicates } from "../../../src/cp/bootstrap/duplicates.js";
import { bootstrapHandler } from "../../../src/cp/bootstrap/handler.js";
import type { ListenerReportOptions, ReportResult } from "../../../src/cp/bootstrap/listener-report.js";
import { parseBootstrapRequest } from "../../../src/cp/bootstrap/request.js";
import type { Presence } from "../../../src/cp/insights/presence.js";
import { createLogger, type Logger } from "../../../src/lib/logger.js";
import { createSiteGuard } from "../../../src/net/cross-site.js";
import { readWarningHeader } from "../../../src/net/warning-header.js";
import { registry } from "../../../src/resources/registry.js";
import { createMemoryStore } from "../../../src/store/memory.js";
import type { Store } from "../../../src/store/store.js";
import { StoreError } from "../../../src/store/store.js";
import { suite } from "../../support/suite.js";
import { silent } from "./stage.js";

const test = suite("the bootstrap of an Envoy");

const admin = { address: "127.0.0.1", port: 0, accessLogPath: "/dev/null" };
const xds = { host: "cp.host", port: 5678, connectTimeoutMs: 1000 };

const golden = `
node: {id: default.backend-1, cluster: backend, metadata: {dataplaneTokenPath: token, bootstrapRevision: 1}}
admin:
  accessLog:
  - name: envoy.access_loggers.file
    typedConfig: {'@type': type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog, path: /dev/null}
  address: {socketAddress: {address: 127.0.0.1, portValue: 9901}}
dynamicResources:
  ldsConfig: {ads: {}, resourceApiVersion: V3, initialFetchTimeout: 0s}
  cdsConfig: {ads: {}, resourceApiVersion: V3, initialFetchTimeout: 0s}
  adsConfig:
    apiType: DELTA_GRPC
    transportApiVersion: V3
    setNodeOnFirstMessageOnly: true
    grpcServices: [{envoyGrpc: {clusterName: ads_cluster}}]
hdsConfig:
  apiType: GRPC
  transportApiVersion: V3
  setNodeOnFirstMessageOnly: true
  grpcServices: [{envoyGrpc: {clusterName: ads_cluster}}]
staticResources:
  clusters:
  - name: ads_cluster
    type: STRICT_DNS
    dnsLookupFamily: V4_PREFERRED
    connectTimeout: 1s
    upstreamConnectionOptions: {tcpKeepalive: {keepaliveProbes: 3, keepaliveTime: 10, keepaliveInterval: 10}}
    typedExtensionProtocolOptions:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        '@type': type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicitHttpConfig:
          http2ProtocolOptions: {connectionKeepalive: {interval: 30s, timeout: 10s, intervalJitter: {value: 15}}}
    loadAssignment:
      clusterName: ads_cluster
      endpoints: [{lbEndpoints: [{endpoint: {address: {socketAddress: {address: cp.host, portValue: 5678}}}}]}]
`;

test("equals the golden file, with a token and an admin port", () => {
  const document = bootstrapDocument({
    mesh: "default",
    name: "backend-1",
    service: "backend",
    dataplaneTokenPath: "token",
    admin: { ...admin, port: 9901 },
    xds,
  });
  assert.equal(document, load(golden));
});

/** The version that an Envoy of this release reports. */
const revision = { bootstrapRevision: 1 };

test("contains the directories for log files", () => {
  const own = { mesh: "m", name: "n", service: "s", admin, xds };
  assert.equal(bootstrapDocument({ ...own, logDirectories: [] }).node, {
    id: "m.n",
    cluster: "s",
    metadata: { logDirectories: [], ...revision },
  });
  const both = bootstrapDocument({ ...own, dataplaneTokenPath: "token", logDirectories: ["/tmp"] });
  assert.equal((both.node as { metadata: unknown }).metadata, {
    dataplaneTokenPath: "token",
    logDirectories: ["/tmp"],
    ...revision,
  });
});

test("accepts directories for log files that are absolute, short, few and normalized", () => {
  const parse = (logDirectories: unknown) =>
    parseBootstrapRequest(Buffer.from(JSON.stringify({ mesh: "m", name: "n", logDirectories })));
  for (const good of [[], ["/tmp", "/var/log"]]) {
    assert.equal(parse(good), { kind: "request", request: { mesh: "m", name: "n", logDirectories: good } });
  }
  const causes: readonly (readonly [unknown, string, string])[] = [
    ["/tmp", "logDirectories", "has to be a list of absolute paths"],
    [["/tmp", 1], "logDirectories[1]", "has to be text"],
    [["tmp"], "logDirectories[0]", "has to be an absolute path, such as /var/log/envoy"],
    [["/tmp/.."], "logDirectories[0]", "has to be written /"],
    [[`/${"a".repeat(1024)}`], "logDirectories[0]", "is longer than 1024 characters"],
    [Array(17).fill("/tmp"), "logDirectories", "can hold 16 directories at most"],
  ];
  for (const [given, field, message] of causes) {
    assert.equal(parse(given), { kind: "invalid", causes: [{ field, message }] });
  }
});

test("has no token, no log directories and no admin server unless requested", () => {
  const document = bootstrapDocument({ mesh: "m", name: "pod.ns", service: "unknown", admin, xds });
  assert.equal(document.node, {
    id: "m.pod.ns",
    cluster: "unknown",
    metadata: { bootstrapRevision: 1 },
  });
  assert.equal(Object.keys(document), ["node", "dynamicResources", "hdsConfig", "staticResources"]);
});

const nobody: Presence = { connectedSince: async () => undefined };

interface Around {
  readonly presence?: Presence;
  readonly hostUnset?: boolean;
  readonly logger?: Logger;
  readonly store?: Store;
  readonly compare?: ListenerReportOptions["compare"];
  readonly reported?: ListenerReportOptions["reported"];
}

async function server(defaults: Partial<typeof admin> = {}, around: Around = {}) {
  const { presence = nobody, hostUnset = false, logger = silent, store = createMemoryStore(registry) } = around;
  const { compare = () => undefined, reported = () => {} } = around;
  const handle = bootstrapHandler({
    store,
    guard: createSiteGuard({ allowed: () => false, advertisedHostname: "localhost" }),
    logger,
    admin: { ...admin, ...defaults },
    xds,
    hostUnset,
    catalogue: { apis: {} },
    findDuplicate: createDuplicates({ presence, logger: silent }),
    listeners: { compare, reported },
  });
  const inbound = [
    { interface: "127.0.0.1:80:81", tags: { service: "web" } },
    { interface: "127.0.0.1:82:83", tags: { service: "api" } },
  ];
  await store.create({ type: "Dataplane", mesh: "default", name: "web-1", spec: { networking: { inbound } } });
  return async (
    body: unknown,
    method = "POST",
    path = "/bootstrap",
    headers = {},
    { localAddress = "127.0.0.1", query = "" } = {},
  ) => {
    const bytes = Buffer.from(typeof body === "string" ? body : JSON.stringify(body));
    const {
      status,
      headers: replied,
      body: text,
    } = await handle({ method, path, query, headers, body: bytes, peer: "127.0.0.1", localAddress });
    const warnings = readWarningHeader(replied?.Warning);
    return { status, type: replied?.["Content-Type"], text: String(text ?? ""), warnings };
  };
}

test("is sent as YAML to a registered Dataplane", async () => {
  const post = await server();
  const answer = await post({ mesh: "default", name: "web-1", adminPort: 9901, dataplaneTokenPath: "token", later: 1 });
  assert.equal([answer.status, answer.type], [200, "text/x-yaml"]);
  const document = load(answer.text) as { node: unknown; admin: { address: unknown } };
  assert.equal(document.node, {
    id: "default.web-1",
    cluster: "api",
    metadata: { dataplaneTokenPath: "token", bootstrapRevision: 1 },
  });
  assert.equal(document.admin.address, { socketAddress: { address: "127.0.0.1", portValue: 9901 } });
  assert.not.match(answer.text, /[&*]ref/);
});

test("has the control plane's admin port unless kuma-dp requests one", async () => {
  const post = await server({ port: 7000 });
  assert.match((await post({ mesh: "default", name: "web-1" })).text, /portValue: 7000/);
  assert.match((await post({ mesh: "default", name: "web-1", adminPort: 0 })).text, /portValue: 7000/);
  assert.match((await post({ mesh: "default", name: "web-1", adminPort: 8000 })).text, /portValue: 8000/);
});

test("is refused to an unregistered Dataplane, in a way that kuma-dp recognises", async () => {
  const post = await server();
  for (const proxy of [
    { mesh: "default", name: "nope" },
    { mesh: "ghost", name: "web-1" },
  ]) {
    const answer = await post(proxy);
    assert.equal([answer.status, answer.type], [404, "application/json"]);
    assert.is((JSON.parse(answer.text) as { title: string }).title, "Could not find a Dataplane");
  }
});

test("is refused to invalid requests, with the fields", async () => {
  const post = await server();
  const causes = async (body: unknown) => {
    const answer = await post(body);
    assert.is(answer.status, 400);
    return ((JSON.parse(answer.text) as { causes?: { field: string }[] }).causes ?? []).map(({ field }) => field);
  };
  assert.equal(await causes("{"), []);
  assert.equal(await causes([]), []);
  assert.equal(await causes({}), ["mesh", "name"]);
  assert.equal(await causes({ mesh: 1, name: "" }), ["mesh", "name"]);
  const wrong = { mesh: "default", name: "web-1", adminPort: 65536, dataplaneTokenPath: 1 };
  assert.equal(await causes(wrong), ["adminPort", "dataplaneTokenPath"]);
});

test("has one path and one method, and is not available to other web sites", async () => {
  const post = await server();
  const proxy = { mesh: "default", name: "web-1" };
  assert.is((await post(proxy, "GET")).status, 405);
  assert.is((await post(proxy, "POST", "/")).status, 404);
  assert.is((await post(proxy, "GET", "/catalogue")).status, 200);
  assert.is((await post(proxy, "GET", "/catalog/")).status, 200);
  assert.is(
    (await post(proxy, "POST", "/bootstrap", { origin: "http://evil.example", host: "localhost" })).status,
    403,
  );
});

test("has a warning if a proxy of that name is connected, and none if that is unknown", async () => {
  const proxy = { mesh: "default", name: "web-1" };
  assert.equal((await (await server())(proxy)).warnings, []);
  const since = new Date("2026-01-01T10:00:00Z");
  const answer = await (await server({}, { presence: { connectedSince: async () => since } }))(proxy);
  assert.is(answer.status, 200);
  assert.is(answer.warnings.length, 1);
  assert.match(answer.warnings[0] ?? "", /"web-1" in mesh "default" is already connected, since 2026-01-01T10:00:00/);
  const away: Presence = {
    async connectedSince() {
      throw new StoreError("unavailable", { type: "DataplaneInsight", ...proxy });
    },
  };
  const silentAnswer = await (await server({}, { presence: away }))(proxy);
  assert.equal([silentAnswer.status, silentAnswer.warnings], [200, []]);
});

test("is logged once a minute for each name in use, however often it is requested", async () => {
  const lines: string[] = [];
  let now = 0;
  const logger = createLogger({ name: "test", level: "info", write: (line) => void lines.push(line) });
  const presence: Presence = { connectedSince: async () => new Date(0) };
  const find = createDuplicates({ presence, logger, now: () => now });
  for (let i = 0; i < 5; i++) assert.ok(await find({ mesh: "default", name: "web-1" }));
  assert.ok(await find({ mesh: "default", name: "web-2" }));
  assert.is(lines.length, 2);
  now = 60_000;
  await find({ mesh: "default", name: "web-1" });
  assert.is(lines.length, 3);
});

const asked: readonly (readonly [what: string, host: string | undefined, local: string, told: string | undefined])[] = [
  ["by an address of this machine", "10.0.0.1:5682", "10.0.0.1", "10.0.0.1"],
  ["by the name of a load balancer", "kuma.example:5682", "10.0.0.1", "kuma.example"],
  ["by an IPv6 address", "[fd00::1]:5682", "fd00::1", "fd00::1"],
  [
    "by a name that is this machine's alone, behind something that changes it",
    "localhost:5682",
    "10.0.0.1",
    "10.0.0.1",
  ],
  ["without a name, by a socket for both kinds of addresses", undefined, "::ffff:10.0.0.1", "10.0.0.1"],
  ["on the same machine", "localhost:5682", "127.0.0.1", undefined],
  ["on the same machine, by IPv6", "[::1]:5682", "::1", undefined],
  ["on the same machine, by another address of its loopback", "127.0.1.1:5682", "::ffff:127.0.1.1", undefined],
  ["by what is no host", "<script>", "127.0.0.1", undefined],
  ["by every address", "0.0.0.0:5682", "127.0.0.1", undefined],
  ["by an address that holds on one machine only", undefined, "fe80::1%eth0", undefined],
];

for (const [what, host, local, told] of asked) {
  test(`without an advertised hostname sends whoever asks ${what} to ${told ?? "the default"}`, async () => {
    const headers = host === undefined ? {} : { host };
    const read = async (hostUnset: boolean) => {
      const post = await server({}, { hostUnset });
      const { text } = await post({ mesh: "default", name: "web-1" }, "POST", "/bootstrap", headers, {
        localAddress: local,
      });
      const document = load(text) as {
        node: { metadata?: object };
        staticResources: { clusters: { loadAssignment: { endpoints: { lbEndpoints: unknown[] }[] } }[] };
      };
      return [document.node.metadata, document.staticResources.clusters[0]?.loadAssignment.endpoints[0]?.lbEndpoints];
    };
    const at = (address: string) => [{ endpoint: { address: { socketAddress: { address, portValue: 5678 } } } }];
    const chosen = told === undefined ? [revision, at("cp.host")] : [{ controlPlaneHost: told, ...revision }, at(told)];
    assert.equal(await read(true), chosen);
    assert.equal(await read(false), [revision, at("cp.host")]);
  });
}

test("causes one warning about remote dataplanes while no hostname is advertised", async () => {
  const lines: string[] = [];
  const logger = createLogger({ name: "test", level: "info", write: (line) => void lines.push(line) });
  const post = await server({}, { hostUnset: true, logger });
  const ask = (host: string) => post({ mesh: "default", name: "web-1" }, "POST", "/bootstrap", { host });
  await ask("localhost:5682");
  assert.equal(lines, []);
  for (const host of ["10.0.0.1:5682", "10.0.0.2:5682"]) await ask(host);
  assert.is(lines.length, 1);
  assert.match(lines[0] ?? "", /KUMA_GENERAL_ADVERTISED_HOSTNAME .* 10\.0\.0\.1/);
});

test("for a kuma-dp of 0.3 is unreadable and says that it is too old; this is logged once a minute", async () => {
  const logged: string[] = [];
  const logger = createLogger({ name: "test", level: "info", write: (line) => void logged.push(line) });
  const ask = await server({}, { logger });
  const old = { mesh: "default", name: "web-1", dataplaneTokenPath: "/tmp/token" };
  const headers = { "user-agent": "Go-http-client/1.1", "content-type": "application/json" };
  for (const name of ["web-1", "unknown", "web-1"]) {
    const { status, type, text } = await ask({ ...old, name }, "POST", "/bootstrap", headers);
    assert.equal([status, type], [200, "text/x-yaml"]);
    const document = load(text) as { dynamicResources: { adsConfig: { apiType: string } } };
    assert.match(
      document.dynamicResources.adsConfig.apiType,
      /^this kuma-dp is too old: .* use the kuma-dp and the envoy/,
    );
    assert.equal(Object.keys(document), ["dynamicResources"]);
  }
  assert.is(logged.length, 1);
  assert.match(logged[0] ?? "", /ERROR.*a kuma-dp is too old: .*"mesh":"default","name":"web-1","peer":"127.0.0.1"/);
  for (const agent of [undefined, "curl/8.1", "node"]) {
    const { text } = await ask(old, "POST", "/bootstrap", agent === undefined ? {} : { "user-agent": agent });
    assert.match(text, "DELTA_GRPC");
  }
});

test("is accompanied by a status: whether the Dataplane exists, and why its token was rejected while mTLS is enabled", async () => {
  const store = createMemoryStore(registry);
  const ask = await server({}, { store });
  const status = async (query: string) => {
    const reply = await ask("", "GET", "/dataplane-status", {}, { query });
    return [reply.status, JSON.parse(reply.text)];
  };
  const key = { mesh: "default", name: "web-1" };
  assert.equal(await status("mesh=default&name=web-1"), [200, { known: true }]);
  assert.equal(await status("mesh=default&name=ghost"), [200, { known: false }]);
  assert.equal(await status("mesh=ghost&name=web-1"), [200, { known: false }]);
  for (const [query, field] of [
    ["name=a", "mesh"],
    ["mesh=default", "name"],
    ["", "mesh"],
  ] as const) {
    const [code, { causes }] = await status(query);
    assert.equal([code, causes[0].field], [400, field]);
  }
  const refusal = { time: "2026-01-01T10:00:00Z", reason: "its signature is wrong" };
  await store.create({ type: "DataplaneInsight", ...key, spec: { mTLS: { refusal } } });
  assert.equal(await status("mesh=default&name=web-1"), [200, { known: true }]);
  await store.create({ type: "Mesh", mesh: "default", name: "default", spec: { mtls: { enabled: true } } });
  assert.equal(await status("mesh=default&name=web-1"), [200, { known: true, refusal }]);
  await store.delete({ type: "Dataplane", ...key });
  assert.equal(await status("mesh=default&name=web-1"), [200, { known: false }]);
});

test("comes with an endpoint that accepts a report of an Envoy's listeners, and compares it with the streams that are open here", async () => {
  const results: ReportResult[] = [];
  const seen: unknown[] = [];
  const ask = await server(
    {},
    {
      reported: (result) => void results.push(result),
      compare({ mesh, name }, present) {
        seen.push([mesh, name, [...present]]);
        if (name === "elsewhere-1") return undefined;
        return { missing: ["a", "b"].filter((listener) => !present.has(listener)), pending: present.size === 2 };
      },
    },
  );
  const report = async (name: string, listeners: readonly string[]) => {
    const { status, text } = await ask({ mesh: "m", name, listeners, later: 1 }, "POST", "/dataplane-status");
    return [status, JSON.parse(text)];
  };
  assert.equal(await report("web-1", ["a"]), [200, { connected: true, missing: ["b"], pending: false }]);
  assert.equal(await report("web-1", ["a", "b"]), [200, { connected: true, missing: [], pending: true }]);
  assert.equal(await report("elsewhere-1", []), [200, { connected: false }]);
  assert.equal(seen, [
    ["m", "web-1", ["a"]],
    ["m", "web-1", ["a", "b"]],
    ["m", "elsewhere-1", []],
  ]);
  assert.equal(results, ["missing", "complete", "not_connected"]);
});

test("comes with an endpoint that rejects a report that is invalid, cross-site, or has more listeners than a proxy, and counts it", async () => {
  const results: ReportResult[] = [];
  const ask = await server(
    {},
    {
      compare() {
        throw new Error("nothing is compared");
      },
      reported: (result) => void results.push(result),
    },
  );
  const report = (body: unknown, headers = {}) => ask(body, "POST", "/dataplane-status", headers);
  const whole = { mesh: "default", name: "web-1", listeners: [] };
  const deep = `${"[".repeat(100_000)}${"]".repeat(100_000)}`;
  const hostile: readonly unknown[] = [
    "",
    "null",
    "[]",
    "\u0000",
    deep,
    `{"mesh":"default","name":"web-1","listeners":${deep}}`,
    { ...whole, mesh: "" },
    { ...whole, mesh: { toString: "a" } },
    { ...whole, name: 5 },
    { ...whole, listeners: undefined },
    { ...whole, listeners: { length: 0 } },
    { ...whole, listeners: "inbound" },
    { ...whole, listeners: ["a", null] },
    { ...whole, listeners: Array(20_001).fill("a") },
    '{"__proto__": {"mesh": "default", "name": "web-1", "listeners": []}}',
  ];
  for (const [index, body] of hostile.entries()) {
    const { status, text } = await report(body);
    assert.is(status, 400, `hostile ${index}`);
    const { title, causes } = JSON.parse(text);
    assert.match(title, "report of a dataplane");
    assert.ok(causes.length > 0 && text.length < 1000, text);
  }
  assert.is((await report(whole, { origin: "http://evil.example", host: "localhost" })).status, 403);
  assert.equal(results, [...hostile.map(() => "invalid" as const), "cross_site"]);
});

test("comes with an endpoint that names at most twenty of the missing listeners, however many there are", async () => {
  const missing = Array.from({ length: 5000 }, (_, index) => `l${index}`);
  const ask = await server({}, { compare: () => ({ missing, pending: false }) });
  const { text } = await ask({ mesh: "default", name: "web-1", listeners: [] }, "POST", "/dataplane-status");
  assert.equal(JSON.parse(text).missing, missing.slice(0, 20));
});

test.run();
