import http from "node:http";
import net from "node:net";
import * as assert from "uvu/assert";
import { eventually } from "../support/eventually.js";
import { put } from "../support/executable.js";
import { type MeshStage, openMeshStage, reaches, type Sidecar } from "../support/mesh-stage.js";
import { freePort } from "../support/ports.js";
import { suite } from "../support/suite.js";

const test = suite("proxy templates on real sidecars", { needs: "envoy" });

let stage: MeshStage;
let first: Sidecar;
let second: Sidecar;
let other: Sidecar;
const ports = { first: 0, second: 0, other: 0, out: 0, app: 0, raw: 0 };

test.before(async () => {
  for (const key of Object.keys(ports) as (keyof typeof ports)[]) ports[key] = await freePort();
  stage = await openMeshStage();
  const app = await stage.application("backend");
  ports.app = app.port;
  const inbound = (port: number, tags: Readonly<Record<string, string>>) => [
    { interface: `127.0.0.1:${port}:${app.port}`, tags },
  ];
  await stage.apply("first", {
    inbound: inbound(ports.first, { service: "backend", app: "backend", version: "v1" }),
    outbound: [{ interface: `:${ports.out}`, service: "other" }],
  });
  await stage.apply("second", { inbound: inbound(ports.second, { service: "backend", version: "v2" }) });
  await stage.apply("other", { inbound: inbound(ports.other, { service: "other" }) });
  first = await stage.sidecar("first", { token: "" });
  second = await stage.sidecar("second", { token: "" });
  other = await stage.sidecar("other", { token: "" });
  for (const port of [ports.first, ports.second, ports.other, ports.out]) await reaches(port, "backend");
});
test.after(() => stage.close());

const templates = "/meshes/default/proxytemplates";

interface Template {
  readonly match?: Readonly<Record<string, string>>;
  readonly imports?: readonly string[];
  /** Each is text, or an Envoy message. */
  readonly resources?: readonly (string | object)[];
}

const document = (name: string, { match, imports = [], resources = [] }: Template) => ({
  type: "ProxyTemplate",
  mesh: "default",
  name,
  ...(match === undefined ? {} : { selectors: [{ match }] }),
  ...(imports.length === 0 ? {} : { imports }),
  resources: resources.map((resource, index) => ({
    name: `raw-${index}`,
    version: "v1",
    resource: typeof resource === "string" ? resource : JSON.stringify(resource),
  })),
});

const apply = (name: string, template: Template) => put(stage.cp.api, `${templates}/${name}`, document(name, template));
const withdraw = (name: string) => stage.remove(`${templates}/${name}`);

const usual = ["default-proxy"];
const cluster = (name: string, more: object = {}) => ({
  "@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster",
  name,
  type: "STATIC",
  connectTimeout: "1s",
  ...more,
});
const listener = (name: string, port: number, to: string) => ({
  "@type": "type.googleapis.com/envoy.config.listener.v3.Listener",
  name,
  address: { socketAddress: { address: "127.0.0.1", portValue: port } },
  enableReusePort: false,
  filterChains: [
    {
      filters: [
        {
          name: "envoy.filters.network.tcp_proxy",
          typedConfig: {
            "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
            statPrefix: name,
            cluster: to,
          },
        },
      ],
    },
  ],
});

interface ActiveCluster {
  readonly name: string;
  readonly connect_timeout?: string;
  readonly per_connection_buffer_high_watermark_timeout?: string;
}

/** The clusters that a sidecar uses, without the one to the control plane. */
async function clustersOf(sidecar: Sidecar): Promise<readonly ActiveCluster[]> {
  const dump = JSON.parse(await sidecar.ask("/config_dump?resource=dynamic_active_clusters")) as {
    readonly configs?: readonly { readonly cluster: ActiveCluster }[];
  };
  return (dump.configs ?? []).map(({ cluster }) => cluster);
}

const namesOf = async (sidecar: Sidecar) => (await clustersOf(sidecar)).map(({ name }) => name).sort();
const listenersOf = async (sidecar: Sidecar) =>
  (await sidecar.ask("/listeners"))
    .trim()
    .split("\n")
    .map((line) => line.split("::")[0] ?? "")
    .filter((name) => name !== "")
    .sort();

const ownCluster = () => `localhost:${ports.app}`;

const hasClusters = (sidecar: Sidecar, ...names: readonly string[]) =>
  eventually(
    `it has the clusters ${names.join(", ")}`,
    async () => (await namesOf(sidecar)).join() === [...names].sort().join(),
  );

const inspected = () => stage.kumactl("inspect", "dataplanes");

/** How many refusals of a kind the insight of a Dataplane counts. */
async function rejected(name: string, kind: "cds" | "lds"): Promise<number> {
  const response = await fetch(`${stage.cp.api}/meshes/default/dataplanes+insights/${name}`);
  const { dataplaneInsight } = (await response.json()) as {
    dataplaneInsight: { subscriptions: { status: Record<string, { responsesRejected?: string }> }[] };
  };
  return Number(dataplaneInsight.subscriptions.at(-1)?.status[kind]?.responsesRejected ?? 0);
}

test("the documented template is kept as it was written, and takes effect on the dataplanes that it selects", async () => {
  const resource = [
    "'@type': type.googleapis.com/envoy.api.v2.Cluster",
    "connectTimeout: 5s",
    "loadAssignment:",
    "  clusterName: localhost:8443",
    "  endpoints:",
    "    - lbEndpoints:",
    "        - endpoint:",
    "            address:",
    "              socketAddress:",
    "                address: 127.0.0.1",
    "                portValue: 8443",
    "name: localhost:8443",
    "type: STATIC",
    "",
  ].join("\n");
  const template = { match: { app: "backend" }, imports: usual, resources: [resource] };
  assert.is(await apply("documented", template), 201);
  assert.is(await apply("documented", template), 200);
  const response = await fetch(`${stage.cp.api}${templates}/documented`);
  assert.equal(await response.json(), document("documented", template));
  await hasClusters(first, ownCluster(), "other", "localhost:8443");
  await hasClusters(second, ownCluster());
  await reaches(ports.out, "backend");
  await withdraw("documented");
  await hasClusters(first, ownCluster(), "other");
});

test("without imports nothing is left of what is generated, and all comes back without the template", async () => {
  const before = await listenersOf(first);
  assert.is(before.length, 2);
  await apply("bare", { match: { app: "backend" }, resources: [cluster("mine")] });
  await eventually("no listener is left", async () => (await listenersOf(first)).length === 0);
  await hasClusters(first, "mine");
  assert.is((await listenersOf(second)).length, 1);
  await withdraw("bare");
  await eventually("they are back", async () => (await listenersOf(first)).join() === before.join());
  await reaches(ports.out, "backend");
});

test("a raw resource takes the place of the generated one of its name", async () => {
  const loadAssignment = {
    clusterName: ownCluster(),
    endpoints: [
      { lbEndpoints: [{ endpoint: { address: { socketAddress: { address: "127.0.0.1", portValue: ports.app } } } }] },
    ],
  };
  const timeout = async () => (await clustersOf(first)).find(({ name }) => name === ownCluster())?.connect_timeout;
  assert.is(await timeout(), "5s");
  await apply("mine", {
    match: { app: "backend" },
    imports: usual,
    resources: [cluster(ownCluster(), { loadAssignment })],
  });
  await eventually("its timeout counts", async () => (await timeout()) === "1s");
  await reaches(ports.first, "backend");
  await withdraw("mine");
  await eventually("the generated one is back", async () => (await timeout()) === "5s");
});

test("of several templates the most specific counts, and of equally specific ones the first by name", async () => {
  const named = (name: string, match?: Readonly<Record<string, string>>) =>
    apply(name, { ...(match === undefined ? {} : { match }), resources: [cluster(`by-${name}`)] });
  await named("everyone");
  await named("service", { service: "backend" });
  await named("b-version", { service: "backend", version: "v2" });
  await hasClusters(first, "by-service");
  await hasClusters(second, "by-b-version");
  await hasClusters(other, "by-everyone");
  await named("a-version", { service: "backend", version: "v2" });
  await hasClusters(second, "by-a-version");
  await hasClusters(first, "by-service");
  for (const name of ["everyone", "service", "b-version", "a-version"]) await withdraw(name);
  for (const sidecar of [second, other]) await hasClusters(sidecar, ownCluster());
  await hasClusters(first, ownCluster(), "other");
});

test("an HTTP listener that was written for v2 serves HTTP", async () => {
  const app = http.createServer((request, response) => response.end(`you asked for ${request.url}`));
  await new Promise<void>((resolve) => app.listen(0, "127.0.0.1", resolve));
  const appPort = (app.address() as net.AddressInfo).port;
  const resource = {
    "@type": "type.googleapis.com/envoy.api.v2.Listener",
    name: "http",
    address: { socket_address: { address: "127.0.0.1", port_value: ports.raw } },
    filter_chains: [
      {
        filters: [
          {
            name: "envoy.http_connection_manager",
            config: {
              stat_prefix: "http",
              route_config: {
                virtual_hosts: [
                  { name: "all", domains: ["*"], routes: [{ match: { prefix: "/" }, route: { cluster: "app" } }] },
                ],
              },
              http_filters: [{ name: "envoy.router" }],
            },
          },
        ],
      },
    ],
  };
  const hosts = [{ socket_address: { address: "127.0.0.1", port_value: appPort } }];
  const old = {
    "@type": "type.googleapis.com/envoy.api.v2.Cluster",
    name: "app",
    type: "STATIC",
    connect_timeout: "1s",
    hosts,
  };
  assert.is(await apply("http", { match: { app: "backend" }, imports: usual, resources: [resource, old] }), 201);
  await eventually("it answers", async () => {
    const response = await fetch(`http://127.0.0.1:${ports.raw}/a`);
    return (await response.text()) === "you asked for /a";
  });
  await withdraw("http");
  await eventually("it is gone", async () => (await listenersOf(first)).length === 2);
  app.close();
});

test("what is wrong is refused with its place, and nothing is stored", async () => {
  const [good] = document("x", { resources: [cluster("c")] }).resources;
  const wrong: readonly (readonly [body: object, field: string])[] = [
    [{ imports: ["default"] }, "imports[0]"],
    [{ resources: [{ ...good, version: "" }] }, "resources[0].version"],
    [{ resources: [good, { ...good, resource: "a: [" }] }, "resources[1].resource"],
    [{ resources: [{ ...good, resource: "'@type': type.googleapis.com/envoy.Nonsense" }] }, "resources[0].resource"],
    [
      { resources: [{ ...good, resource: JSON.stringify(cluster("c", { conectTimeout: "1s" })) }] },
      "resources[0].resource",
    ],
  ];
  for (const [body, field] of wrong) {
    const response = await fetch(`${stage.cp.api}${templates}/wrong`, {
      method: "PUT",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ type: "ProxyTemplate", mesh: "default", name: "wrong", ...body }),
    });
    assert.is(response.status, 400);
    const { causes } = (await response.json()) as { causes: readonly { field: string }[] };
    assert.equal(
      causes.map((cause) => cause.field),
      [field],
    );
  }
  assert.is((await fetch(`${stage.cp.api}${templates}/wrong`)).status, 404);
});

test("what only Envoy refuses is shown in its words until it is mended, and costs nothing else", async () => {
  const holder = net.createServer();
  await new Promise<void>((resolve) => holder.listen(ports.raw, "127.0.0.1", resolve));
  // A cluster of this type needs exactly one host.
  const hostless = cluster("hostless", { type: "LOGICAL_DNS" });
  const good = cluster("good");
  const resources = [listener("taken", ports.raw, "good"), hostless, good];
  assert.is(await apply("bad", { match: { app: "backend" }, imports: usual, resources }), 201);
  // At the same time something that is generated changes.
  const extra = await freePort();
  const dataplane = (outbounds: readonly number[]) =>
    stage.apply("first", {
      inbound: [
        {
          interface: `127.0.0.1:${ports.first}:${ports.app}`,
          tags: { service: "backend", app: "backend", version: "v1" },
        },
      ],
      outbound: outbounds.map((port) => ({ interface: `:${port}`, service: "other" })),
    });
  await dataplane([ports.out, extra]);
  await reaches(extra, "backend");
  await reaches(ports.out, "backend");
  await reaches(ports.first, "backend");
  await hasClusters(first, ownCluster(), "other", "good");
  const { stderr } = await eventually("both refusals are shown", () => {
    const now = inspected();
    return now.stderr.trim().split("\n").length === 2 ? now : undefined;
  });
  assert.match(
    stderr,
    /^Envoy of "first" refuses CDS resource "hostless": .*LOGICAL_DNS clusters must have a single host/m,
  );
  assert.match(stderr, /^Envoy of "first" refuses LDS resource "taken": .*cannot bind/m);
  const counts = async () => [await rejected("first", "cds"), await rejected("first", "lds")];
  const before = await counts();
  assert.ok(before.every((count) => count >= 1));
  await dataplane([ports.out]);
  await eventually("the listener of the outbound is gone", async () => (await listenersOf(first)).length === 2);
  await stage.apply("nobody", { inbound: [{ interface: "127.0.0.1:1:1", tags: { service: "other-one" } }] });
  assert.equal(await counts(), before, "what was refused is not sent again");

  await new Promise((resolve) => holder.close(resolve));
  await apply("bad", {
    match: { app: "backend" },
    imports: usual,
    resources: [listener("taken", ports.raw, ownCluster()), good],
  });
  await reaches(ports.raw, "backend");
  await eventually("nothing is refused any more", () => inspected().stderr === "");
  await withdraw("bad");
  await hasClusters(first, ownCluster(), "other");
});

test("what Envoy can't even decode costs nothing else", async () => {
  // Deeper than protobuf's parsers go.
  let deep: object = {};
  for (let depth = 0; depth < 60; depth++) deep = { a: deep };
  const undecodable = cluster("deep", { metadata: { filterMetadata: { deep } } });
  const extra = await freePort();
  const [applied] = await Promise.all([
    apply("deep", { match: { version: "v2" }, imports: usual, resources: [cluster("shallow"), undecodable] }),
    stage.apply("second", {
      inbound: [{ interface: `127.0.0.1:${ports.second}:${ports.app}`, tags: { service: "backend", version: "v2" } }],
      outbound: [{ interface: `:${extra}`, service: "other" }],
    }),
  ]);
  assert.is(applied, 201);
  await reaches(extra, "backend");
  await hasClusters(second, ownCluster(), "other", "shallow");
  const { stderr } = await eventually("it is shown", () => {
    const now = inspected();
    return now.stderr === "" ? undefined : now;
  });
  assert.match(
    stderr,
    /^Envoy of "second" refuses CDS resource "deep": Unable to unpack as envoy\.config\.cluster\.v3\.Cluster/,
  );
  await withdraw("deep");
  await eventually("nothing is refused any more", () => inspected().stderr === "");
});

test("a field that is newer than our API reaches Envoy by the API of the one beside the control plane", async () => {
  const newer = cluster("newer", { perConnectionBufferHighWatermarkTimeout: "7s" });
  assert.is(
    await apply("newer", { match: { app: "backend" }, imports: usual, resources: [newer, cluster("older")] }),
    201,
  );
  await hasClusters(first, ownCluster(), "other", "newer", "older");
  const found = (await clustersOf(first)).find(({ name }) => name === "newer");
  assert.is(found?.per_connection_buffer_high_watermark_timeout, "7s");
  await withdraw("newer");
});

test("missing endpoints delay nothing, not even at startup", async () => {
  const eds = (serviceName?: string) => ({
    type: "EDS",
    edsClusterConfig: {
      edsConfig: { ads: {}, resourceApiVersion: "V3" },
      ...(serviceName === undefined ? {} : { serviceName }),
    },
  });
  const assignment = {
    "@type": "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
    clusterName: "mine-by-eds",
    endpoints: [
      { lbEndpoints: [{ endpoint: { address: { socketAddress: { address: "127.0.0.1", portValue: ports.app } } } }] },
    ],
  };
  await apply("eds", {
    match: { service: "late" },
    imports: usual,
    resources: [
      cluster("unknown", eds()),
      cluster("mine", eds("mine-by-eds")),
      assignment,
      listener("to-mine", ports.raw, "mine"),
    ],
  });
  const port = await freePort();
  await stage.apply("late", { inbound: [{ interface: `127.0.0.1:${port}:${ports.app}`, tags: { service: "late" } }] });
  const late = await stage.sidecar("late", { token: "" });
  // Envoy would wait for 15 seconds.
  await eventually("it is live", async () => (await late.ask("/ready")).trim() === "LIVE", 5_000);
  await reaches(port, "backend");
  await reaches(ports.raw, "backend");
  await hasClusters(late, ownCluster(), "unknown", "mine");
  // The cluster is made anew, and its endpoints are there again although nothing of them has changed.
  for (const connectTimeout of ["2s", "3s"]) {
    await apply("eds", {
      match: { service: "late" },
      imports: usual,
      resources: [
        cluster("unknown", eds()),
        cluster("mine", { ...eds("mine-by-eds"), connectTimeout }),
        assignment,
        listener("to-mine", ports.raw, "mine"),
      ],
    });
    await eventually(
      `the cluster with a timeout of ${connectTimeout} is active`,
      async () => (await clustersOf(late)).find(({ name }) => name === "mine")?.connect_timeout === connectTimeout,
      5_000,
    );
    await reaches(ports.raw, "backend");
  }
  assert.is(inspected().stderr, "");
});

test("kuma-cp logged no errors", () => {
  assert.not.match(stage.cp.output(), /no configuration could be generated|has no effect/);
});

test.run();
