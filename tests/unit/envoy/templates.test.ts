import * as assert from "uvu/assert";
import { type Generated, type GeneratorOptions, generate } from "../../../src/envoy/generate.js";
import type { OwnServers } from "../../../src/envoy/own-servers.js";
import { rawResourcesOf } from "../../../src/envoy/raw/readings.js";
import { kinds } from "../../../src/envoy/resource.js";
import type { ProxyTemplate } from "../../../src/resources/proxy-template.js";
import type { Stored } from "../../../src/store/store.js";
import { configJson } from "../../support/envoy-json.js";
import { dataplane, meshRecord, meshViewOf, stored } from "../../support/mesh-view.js";
import { newerApi } from "../../support/newer-api.js";
import { suite } from "../../support/suite.js";

const test = suite("a proxy's template");

const proxy = dataplane("p", {
  inbound: [{ interface: "127.0.0.1:8000:80", tags: { service: "backend" } }],
  outbound: [{ interface: ":10000", service: "redis" }],
});

const v3 = "type.googleapis.com/envoy.config";
const cluster = (name: string, more: object = {}) =>
  JSON.stringify({ "@type": `${v3}.cluster.v3.Cluster`, name, type: "STATIC", ...more });
const raw = (...texts: readonly string[]) => texts.map((resource) => ({ name: "r", version: "v", resource }));

const template = (spec: ProxyTemplate) => stored("ProxyTemplate", "t", spec) as Stored<ProxyTemplate>;

function generated(spec: ProxyTemplate, more: Partial<GeneratorOptions> = {}): Generated {
  const mesh = meshViewOf(meshRecord(false), proxy, template(spec));
  const view = mesh.proxies.get("p");
  if (view === undefined) throw new Error("the proxy is missing");
  return generate(view, mesh, { connectTimeoutMs: 1000, secretServer: undefined, ...more });
}

/** The names of each kind, with `*` after those from the template. */
const namesOf = ({ config }: Generated) =>
  kinds.flatMap((kind) => [...config[kind].values()].map(({ name, raw }) => `${kind} ${name}${raw ? "*" : ""}`));

const ignoredBy = ({ ignored }: Generated) => ignored.map(({ policy, field, reason }) => [policy.name, field, reason]);

const usual = [
  "cds localhost:80",
  "cds redis",
  "eds redis",
  "lds inbound:127.0.0.1:8000",
  "lds outbound:127.0.0.1:10000",
];

const fileLog = (path: string) => ({
  name: "envoy.access_loggers.file",
  typedConfig: { "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog", path },
});
const loggingListener = (name: string, path: string, more: object = {}) =>
  JSON.stringify({
    "@type": `${v3}.listener.v3.Listener`,
    name,
    address: { socketAddress: { address: "127.0.0.1", portValue: 1 } },
    accessLog: [fileLog(path)],
    ...more,
  });

test("resources that write files outside the proxy's log directories are left out", () => {
  const nested = (path: string) => [
    {
      filters: [
        {
          name: "envoy.filters.network.tcp_proxy",
          typedConfig: {
            "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
            statPrefix: "s",
            cluster: "redis",
            accessLog: [fileLog(path)],
          },
        },
      ],
    },
  ];
  const events = { healthChecks: [{ timeout: "1s", interval: "1s", tcpHealthCheck: {}, eventLogPath: "/etc/x" }] };
  const resources = raw(
    loggingListener("good", "/tmp/a.log"),
    loggingListener("null", "/dev/null"),
    loggingListener("outside", "/etc/cron.d/x"),
    loggingListener("token", "token"),
    loggingListener("nested", "/tmp/a.log", { filterChains: nested("/tmp/../root/.profile") }),
    cluster("events", events),
  );
  const made = generated({ imports: [], resources });
  assert.equal(namesOf(made), ["lds good*", "lds null*"]);
  const outside = (path: string) =>
    `some dataplanes allow no log file "${path}": it is below none of their KUMA_DATAPLANE_LOG_DIRECTORIES`;
  assert.equal(
    ignoredBy(made).map(([, field, reason]) => [field, reason]),
    ["/etc/cron.d/x", "token", "/tmp/../root/.profile", "/etc/x"].map((path, index) => [
      `resources[${index + 2}].resource`,
      outside(path),
    ]),
  );
});

test("imports are added first, then raw resources, and the last one of a name wins", () => {
  const imports = ["default-proxy"];
  assert.equal(namesOf(generated({ imports })), usual);
  const clusters = raw(cluster("mine"), cluster("redis"), cluster("mine", { connectTimeout: "2s" }));
  const both = generated({ imports, resources: clusters });
  assert.equal(namesOf(both), ["cds localhost:80", "cds redis*", "cds mine*", ...usual.slice(2)]);
  assert.is(configJson(both.config).clusters?.find(({ name }) => name === "mine")?.connectTimeout, "2s");
  assert.equal(namesOf(generated({ resources: clusters })), ["cds mine*", "cds redis*"]);
  assert.equal(namesOf(generated({})), []);
});

test("the layout with conf is equivalent", () => {
  const content = { imports: ["default-proxy"], resources: raw(cluster("mine")) };
  assert.equal(namesOf(generated({ conf: content })), namesOf(generated(content)));
});

test("a proxy without generated resources has no upstreams whose changes concern it", () => {
  assert.equal([...generated({ resources: raw(cluster("mine")) }).upstreams], []);
  assert.equal([...generated({ imports: ["default-proxy"] }).upstreams], ["redis"]);
  assert.equal([...generated({}).inboundServices], ["backend"]);
});

test("an assignment of a nonexistent cluster is available to clients that request it", () => {
  const assignment = JSON.stringify({ "@type": `${v3}.endpoint.v3.ClusterLoadAssignment`, clusterName: "nobody" });
  assert.equal(namesOf(generated({ imports: ["default-proxy"], resources: raw(assignment) })), [
    ...usual.slice(0, 3),
    "eds nobody*",
    ...usual.slice(3),
  ]);
});

test("a stored resource that can't be parsed is left out alone, and reported", () => {
  const unreadable = [cluster("a", { nonsense: 1 }), "{", cluster("b", { connectTimeout: 5 })];
  const made = generated({
    imports: ["default-proxy", "of-tomorrow"],
    resources: raw(cluster("mine"), ...unreadable),
    conf: { resources: raw(cluster("mine too"), JSON.stringify({ "@type": "x/y.Z" })) },
  });
  assert.equal(namesOf(made), [...usual.slice(0, 2), "cds mine*", "cds mine too*", ...usual.slice(2)]);
  assert.equal(
    ignoredBy(made).map(([name, field]) => [name, field]),
    [
      ["t", "imports"],
      ["t", "resources[1].resource"],
      ["t", "resources[2].resource"],
      ["t", "resources[3].resource"],
      ["t", "conf.resources[1].resource"],
    ],
  );
  const [, [, , nonsense] = [], , [, , timeout] = []] = ignoredBy(made);
  assert.match(nonsense ?? "", /^nonsense: unknown field .* \(checked against the API of Envoy 1\.31\)$/);
  assert.match(timeout ?? "", /^connectTimeout: /);
});

test("resources of a newer Envoy are parsed with its API, the others with the built-in one", () => {
  const api = newerApi();
  const [ours, theirs] = [cluster("a"), cluster("b", { ofTomorrow: 7 })];
  const spec = { resources: raw(ours, theirs, cluster("c", { ofNever: 1 })) };
  assert.equal(namesOf(generated(spec)), ["cds a*"]);
  const made = generated(spec, { newerApi: api });
  assert.equal(namesOf(made), ["cds a*", "cds b*"]);
  assert.is(ignoredBy(made).length, 1);
  assert.match(ignoredBy(made)[0]?.[2] ?? "", "ofNever: unknown field");
  assert.match(ignoredBy(made)[0]?.[2] ?? "", "Envoy 9.9");
  // Both APIs give the same bytes.
  assert.is(made.config.cds.get("a"), generated(spec).config.cds.get("a"));
});

test("a template is parsed once for all proxies, and again when a newer API that it needs becomes available", () => {
  const api = newerApi();
  const plain = template({ resources: raw(cluster("a")) });
  const before = rawResourcesOf(plain, undefined);
  assert.not(before.needNewer);
  assert.is(rawResourcesOf(plain, undefined), before);
  assert.is(rawResourcesOf(plain, api), before);
  const demanding = template({ resources: raw(cluster("b", { ofTomorrow: 7 })) });
  const without = rawResourcesOf(demanding, undefined);
  assert.ok(without.needNewer);
  assert.is(rawResourcesOf(demanding, undefined), without);
  const read = rawResourcesOf(demanding, api);
  assert.ok(read.needNewer);
  assert.is(read.resources.length, 1);
  assert.is(rawResourcesOf(demanding, api), read);
  // No newer API accepts a value that is invalid in all of them.
  assert.not(rawResourcesOf(template({ resources: raw(cluster("c", { ofTomorrow: 7, name: 1 })) }), api).needNewer);
});

const ownServers: OwnServers = {
  at: (host, port) => (host === "127.0.0.1" && port === 5681 ? "the HTTP API" : undefined),
};

test("a stored resource or inbound that leads to the control plane is left out alone, and reported as without effect", () => {
  const to = (port: number) => ({
    loadAssignment: {
      clusterName: "c",
      endpoints: [
        { lbEndpoints: [{ endpoint: { address: { socketAddress: { address: "127.0.0.1", portValue: port } } } }] },
      ],
    },
  });
  const resources = raw(cluster("bad", to(5681)), cluster("good", to(5682)));
  const both = generated({ imports: ["default-proxy"], resources }, { ownServers });
  assert.equal(namesOf(both), ["cds localhost:80", "cds redis", "cds good*", ...usual.slice(2)]);
  const [left] = ignoredBy(both);
  assert.equal(left?.slice(0, 2), ["t", "resources[0].resource"]);
  assert.match(left?.[2] ?? "", /socketAddress: 127\.0\.0\.1:5681 is the HTTP API of the control plane/);
  assert.is(ignoredBy(both).length, 1);

  const inbound = [
    { interface: "127.0.0.1:8000:80", tags: { service: "backend" } },
    { interface: "127.0.0.1:8001:5681", tags: { service: "backend" } },
    { interface: "127.0.0.1:5681:80", tags: { service: "backend" } },
  ];
  const mesh = meshViewOf(meshRecord(false), dataplane("q", { inbound }));
  const view = mesh.proxies.get("q");
  if (view === undefined) throw new Error("the proxy is missing");
  const options = { connectTimeoutMs: 1000, secretServer: undefined, ownServers };
  const first = generate(view, mesh, options);
  assert.equal(namesOf(first), ["cds localhost:80", "lds inbound:127.0.0.1:8000"]);
  assert.is(generate(view, mesh, options, undefined, first).config.lds, first.config.lds);
});

test.run();
