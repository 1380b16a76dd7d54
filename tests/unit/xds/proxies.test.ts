import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import * as assert from "uvu/assert";
import { type Generated, generate } from "../../../src/envoy/generate.js";
import { createPlacement, type Placement } from "../../../src/envoy/placement.js";
import { emptyConfig, type ProxyConfig } from "../../../src/envoy/resource.js";
import { createLogger } from "../../../src/lib/logger.js";
import type { Stored } from "../../../src/store/store.js";
import { apply, emptyView, type Touched, type TouchedMeshes, untouched } from "../../../src/view/apply.js";
import { type Client, createProxies, type Generate } from "../../../src/xds/configuration/proxies.js";
import { LimitExceeded } from "../../../src/xds/limits.js";
import type { ProxyId } from "../../../src/xds/node.js";
import { eventually } from "../../support/eventually.js";
import { dataplane, meshRecord, permission } from "../../support/mesh-view.js";
import { suite } from "../../support/suite.js";
import { downstreamTls, readListener } from "../../support/tls-decoding.js";

const test = suite("connected proxies");

const dataplaneOf = (name: string, services: readonly string[], consumed: readonly string[] = []) =>
  dataplane(name, {
    inbound: services.map((service, index) => ({ interface: `127.0.0.1:${8000 + index}:80`, tags: { service } })),
    outbound: consumed.map((service, index) => ({ interface: `:${10_000 + index}`, service })),
  });

const options = { connectTimeoutMs: 5000, secretServer: { target: "cp:5677", root: "root" } };

/** The upstreams and inbound services of a proxy, without a configuration. */
const sourcesOnly: Generate = (proxy, mesh) => ({
  ...generate(proxy, mesh, options),
  config: { ...emptyConfig },
});

interface TestClient extends Client {
  configured: boolean;
  readonly configs: ProxyConfig[];
  /** The configurations that its deliveries were compared with. */
  readonly comparedWith: ProxyConfig[];
  /** How often it was asked to retry. */
  retries: number;
  /** The listeners that it reports as missing. */
  missing: readonly string[];
}

/** Proxies over a view that the test changes; `heard` names those configured since the last call. */
function open(resources: readonly Stored[], how: Generate = sourcesOnly) {
  let view = apply(emptyView, { kind: "listing", sequence: 1, resources }, new Map());
  const heard: string[] = [];
  const errors: string[] = [];
  const proxies = createProxies({
    view: () => view,
    generate: how,
    logger: createLogger({ name: "test", level: "info", write: (line) => void errors.push(line) }),
  });
  return {
    proxies,
    errors,
    join(name: string, tokenPath?: string, mesh = "m", logDirectories?: readonly string[]): TestClient {
      const client: TestClient = {
        id: { mesh, name },
        placement: createPlacement({ tokenPath, logDirectories }),
        configured: false,
        configs: [],
        since: new Date(0),
        resumed: false,
        delivery: () => undefined,
        comparedWith: [],
        deliveries(config) {
          client.comparedWith.push(config);
          return [];
        },
        configure(config) {
          client.configured = true;
          client.configs.push(config);
          heard.push(name);
        },
        missing: [],
        compareListeners: (present) => ({
          missing: client.missing.filter((listener) => !present.has(listener)),
          fresh: [],
          pending: client.missing.length === 0,
        }),
        retries: 0,
        retry() {
          client.retries += 1;
        },
      };
      proxies.join(client);
      return client;
    },
    touch: (touched: Partial<Touched>, mesh = "m") => proxies.update(mesh, { ...untouched(), ...touched }),
    /** Changes the view only; the test reports what that touched. */
    becomes(...now: readonly Stored[]): TouchedMeshes {
      const touched: TouchedMeshes = new Map();
      view = apply(view, { kind: "listing", sequence: 2, resources: now }, touched);
      return touched;
    },
    /** Puts one resource into the view only; the test reports what that touched. */
    put(resource: Stored): Touched {
      const touched: TouchedMeshes = new Map();
      view = apply(view, { kind: "put", sequence: 2, resource }, touched);
      return touched.get("m") ?? untouched();
    },
    heard: () => heard.splice(0).sort().join(),
  };
}

const web = dataplaneOf("web-1", ["web"], ["redis"]);
const redis = dataplaneOf("redis-1", ["redis"]);
const both = dataplaneOf("both-1", ["web", "redis"], ["web", "redis"]);
const all = [meshRecord(false), web, redis, both];

const cases: readonly (readonly [title: string, touched: Partial<Touched>, mesh: string, heard: string])[] = [
  ["the mesh", { mesh: true }, "m", "both-1,redis-1,web-1"],
  ["a policy for all", { everyone: true }, "m", "both-1,redis-1,web-1"],
  ["another mesh", { mesh: true, upstreams: new Set(["redis"]), proxies: new Set(["web-1"]) }, "n", ""],
  ["a dataplane", { proxies: new Set(["web-1"]) }, "m", "web-1"],
  ["a dataplane that isn't connected", { proxies: new Set(["web-2"]) }, "m", ""],
  ["an upstream: its clients", { upstreams: new Set(["redis"]) }, "m", "both-1,web-1"],
  ["endpoints of a service: its clients", { endpoints: new Set(["redis"]) }, "m", "both-1,web-1"],
  ["endpoints of a service without clients", { endpoints: new Set(["mysql"]) }, "m", ""],
  ["an upstream without clients", { upstreams: new Set(["mysql"]) }, "m", ""],
  ["inbound policies of a service: its proxies", { inboundServices: new Set(["redis"]) }, "m", "both-1,redis-1"],
  ["inbound policies of a service without proxies", { inboundServices: new Set(["mysql"]) }, "m", ""],
  [
    "several at once: each once",
    {
      inboundServices: new Set(["web"]),
      upstreams: new Set(["web", "redis"]),
      endpoints: new Set(["web", "redis"]),
      proxies: new Set(["both-1"]),
    },
    "m",
    "both-1,web-1",
  ],
  ["the authority: no configuration", { authority: true }, "m", ""],
  ["nothing", {}, "m", ""],
];

test("what a proxy rejected is sent again when its own Dataplane is applied, but not when another's is", async () => {
  const stage = open(all);
  const [mine, other] = [stage.join("web-1"), stage.join("redis-1")];
  stage.touch({ upstreams: new Set(["redis"]), everyone: true });
  assert.is(mine.retries, 0);
  // Equal content, as if the Dataplane was applied again.
  stage.touch(stage.put(web));
  // On a busy machine the work takes more than one slice.
  await eventually("it is sent again", () => mine.retries === 1);
  assert.is(other.retries, 0);
  stage.touch({ everyone: true });
  assert.is(mine.retries, 1);
});

for (const [title, touched, mesh, configured] of cases) {
  test(`exactly these are reconfigured when this was touched: ${title}`, async () => {
    const stage = open(all);
    for (const name of ["web-1", "redis-1", "both-1"]) stage.join(name);
    assert.is(stage.heard(), "both-1,redis-1,web-1");
    stage.touch(touched, mesh);
    // On a busy machine the work takes more than one slice.
    for (let turns = 0; turns < 5; turns++) await new Promise((resolve) => setImmediate(resolve));
    assert.is(stage.heard(), configured);
  });
}

test("the changes that concern a proxy follow its current inbounds and outbounds", () => {
  const stage = open(all);
  stage.join("web-1");
  stage.becomes(meshRecord(false), dataplaneOf("web-1", ["shop"], ["mysql"]));
  stage.touch({ proxies: new Set(["web-1"]) });
  stage.heard();
  stage.touch({ upstreams: new Set(["redis"]), inboundServices: new Set(["web"]) });
  assert.is(stage.heard(), "");
  stage.touch({ upstreams: new Set(["mysql"]) });
  stage.touch({ inboundServices: new Set(["shop"]) });
  assert.is(stage.heard(), "web-1,web-1");
});

test("a closed stream is not configured any more; the proxy's other stream is, until it is closed too", () => {
  const stage = open(all);
  const [one, two] = [stage.join("web-1"), stage.join("web-1")];
  const everything = {
    mesh: true,
    upstreams: new Set(["redis"]),
    inboundServices: new Set(["web"]),
    proxies: new Set(["web-1"]),
  };
  stage.proxies.leave(one);
  stage.heard();
  stage.touch(everything);
  assert.equal([stage.heard(), one.configs.length, two.configs.length], ["web-1", 1, 2]);
  stage.proxies.leave(two);
  stage.proxies.leave(two);
  stage.touch(everything);
  assert.equal([stage.heard(), two.configs.length], ["", 2]);
  stage.join("web-1");
  stage.touch(everything);
  assert.is(stage.heard(), "web-1,web-1", "who comes back is followed again");
});

test("deleting a Dataplane removes its streams' configuration, and creating it again restores it", () => {
  const stage = open(all);
  const [known, unknown] = [stage.join("web-1"), stage.join("nobody")];
  stage.becomes(meshRecord(false));
  stage.touch({ proxies: new Set(["web-1", "nobody"]) });
  assert.is(known.configs.at(-1), emptyConfig);
  assert.equal(unknown.configs, [], "what was never configured here may hold another control plane's word");
  stage.heard();
  stage.touch({ upstreams: new Set(["redis"]) });
  assert.is(stage.heard(), "", "it consumes nothing any more");
  stage.becomes(meshRecord(false), web, dataplaneOf("nobody", ["x"]));
  stage.touch({ proxies: new Set(["web-1", "nobody"]) });
  assert.is(stage.heard(), "nobody,web-1");
});

test("proxies of a missing mesh keep their configuration, and the log says so", () => {
  const stage = open(all);
  const client = stage.join("web-1");
  stage.becomes(web);
  stage.touch({ mesh: true });
  assert.is(client.configs.length, 1);
  assert.match(stage.errors.join(""), "mesh is missing");
});

test("a proxy whose generation fails keeps its configuration, and affects no other", () => {
  const stage = open(all, (proxy, mesh, placement) => {
    if (proxy.name === "redis-1") throw new Error("broken");
    return sourcesOnly(proxy, mesh, placement, undefined);
  });
  for (const name of ["redis-1", "web-1"]) stage.join(name);
  stage.touch({ mesh: true });
  assert.is(stage.heard(), "web-1,web-1");
  assert.match(stage.errors.join(""), "no configuration could be generated");
});

test("streams of one proxy get TLS contexts with their own token paths, generated once per path", () => {
  const made: (string | undefined)[] = [];
  const counted = (...[proxy, mesh, placement]: Parameters<Generate>): Generated => {
    made.push(placement.tokenPath);
    return generate(proxy, mesh, options, placement);
  };
  const anyone = permission("p", { sources: [{ match: { service: "*" } }], destinations: [{}] });
  const stage = open([meshRecord(), redis], counted);
  const clients = [stage.join("redis-1", "token"), stage.join("redis-1", "/run/token"), stage.join("redis-1", "token")];
  const bare = stage.join("redis-1");
  made.length = 0;
  const touched = stage.becomes(meshRecord(), redis, anyone).get("m");
  assert.ok(touched !== undefined);
  stage.touch(touched);
  assert.equal(made, ["token", "/run/token", undefined]);

  const contexts = [...clients, bare].map(({ configs }) => {
    const listener = configs.at(-1)?.lds.get("inbound:127.0.0.1:8000");
    if (listener === undefined) throw new Error("the listener is missing");
    const { commonTlsContext } = downstreamTls(readListener(listener)) ?? {};
    const credentials = commonTlsContext?.tlsCertificateSdsSecretConfigs.flatMap(({ sdsConfig }) => {
      const source = sdsConfig?.configSourceSpecifier;
      const target = source?.case === "apiConfigSource" ? source.value.grpcServices[0]?.targetSpecifier : undefined;
      return target?.case === "googleGrpc" ? target.value.callCredentials : [];
    });
    return (credentials ?? []).map(({ credentialSpecifier: { value } }) =>
      typeof value === "object" && "configType" in value && value.configType.case === "typedConfig"
        ? Buffer.from(value.configType.value.value)
            .toString()
            .replaceAll(/[^a-z/]/g, "")
        : "",
    );
  });
  assert.equal(contexts, [["token"], ["/run/token"], ["token"], []]);
  assert.is(clients[0]?.configs.at(-1), clients[2]?.configs.at(-1));
});

test("a proxy's streams may have a few different placements at a time, and all of these are served", () => {
  const stage = open(all);
  const clients = Array.from({ length: 4 }, (_, index) => stage.join("web-1", `token-${index}`));
  const id = { mesh: "m", name: "web-1" };
  const fifth = createPlacement({ tokenPath: "token-4" });
  /** The error for the limit that the proxy exceeds; none when it is admitted. */
  function refusal(proxy: ProxyId, placement: Placement): string {
    try {
      stage.proxies.admit(proxy, placement);
      return "none";
    } catch (error) {
      if (error instanceof LimitExceeded) return error.message;
      throw error;
    }
  }
  assert.match(
    refusal(id, fifth),
    /^the open streams of m\.web-1 already have 4 different combinations of dataplaneTokenPath, logDirectories/,
  );
  for (const { placement } of clients) assert.is(refusal(id, placement), "none");
  assert.is(refusal({ mesh: "m", name: "redis-1" }, fifth), "none");
  assert.match(refusal(id, createPlacement({ tokenPath: "token-0", logDirectories: [] })), "4");
  const [first] = clients;
  assert.ok(first);
  stage.proxies.leave(first);
  assert.is(refusal(id, fifth), "none");
});

test("closed streams with other placements leave nothing behind while the proxy stays connected", async () => {
  const made: WeakRef<Generated>[] = [];
  const kept: Generate = (proxy, mesh, placement) => {
    const generated = generate(proxy, mesh, options, placement);
    made.push(new WeakRef(generated));
    return generated;
  };
  const stage = open(all, kept);
  const stays = stage.join("web-1", "token");
  for (let index = 0; index < 200; index++) {
    const client = stage.join("web-1", `${index}/${"a".repeat(4000)}`);
    stage.proxies.leave(client);
    client.configs.length = 0;
  }
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  await eventually("what was made for them is given back", () => {
    collect();
    const left = made.filter((one) => one.deref() !== undefined).length;
    if (left > 1) throw new Error(`${left} are left`);
    return left === 1;
  });
  // The remaining stream is still served.
  stage.touch({ mesh: true });
  assert.is(stays.configs.length, 2);
});

/** Generates real configurations, and counts them. */
function counting(): { readonly made: () => number; readonly how: Generate } {
  let count = 0;
  return {
    made: () => count,
    how(proxy, mesh, placement, before) {
      count += 1;
      return generate(proxy, mesh, options, placement, before);
    },
  };
}

const elsewhere = dataplane("redis-2", { inbound: [{ interface: "127.0.0.2:8000:80", tags: { service: "redis" } }] });

const versionOf = ({ configs }: TestClient, name = "redis") => configs.at(-1)?.eds.get(name)?.version;

test("a change of endpoints only updates assignments, without a generation", () => {
  const { made, how } = counting();
  const stage = open(all, how);
  const clients = [stage.join("web-1"), stage.join("both-1")];
  const [before, count] = [clients.map((client) => client.configs.at(-1)), made()];
  stage.touch(stage.put(elsewhere));
  assert.is(made(), count);
  for (const [index, client] of clients.entries()) {
    const after = client.configs.at(-1);
    assert.is.not(after?.eds.get("redis"), before[index]?.eds.get("redis"));
    assert.is(after?.cds, before[index]?.cds);
    assert.is(after?.lds, before[index]?.lds);
  }
});

test("two streams of a proxy, one of which joined between a change and its announcement, both get the change", () => {
  const stage = open(all, counting().how);
  const older = stage.join("web-1");
  const touched = stage.put(elsewhere);
  const newer = stage.join("web-1");
  assert.is.not(versionOf(newer), versionOf(older));
  stage.touch(touched);
  assert.is(versionOf(older), versionOf(newer));
});

test("while a new configuration can't be generated, a stream is compared with its last one", () => {
  let waits = false;
  const { proxies, join, touch } = open(all, (...given) => (waits ? undefined : sourcesOnly(...given)));
  const client = join("web-1");
  waits = true;
  touch({ everyone: true });
  proxies.streams(client.id)[0]?.deliveries();
  assert.is(client.configs.length, 1);
  assert.equal(client.comparedWith, client.configs);
  assert.is(client.comparedWith[0], client.configs[0]);
});

test("many proxies are configured in slices that yield to the event loop, each proxy once", async () => {
  const count = 6;
  const names = Array.from({ length: count }, (_, index) => `d-${index}`);
  const slow: Generate = (...about) => {
    const until = performance.now() + 6;
    while (performance.now() < until);
    return sourcesOnly(...about);
  };
  const stage = open([meshRecord(false), ...names.map((name) => dataplaneOf(name, ["web"]))], slow);
  for (const name of names) stage.join(name);
  stage.heard();
  stage.touch({ mesh: true });
  const heard = stage.heard().split(",");
  assert.ok(heard.length < count, `${heard}`);
  for (let turns = 0; heard.length < count && turns < 100; turns++) {
    await new Promise((resolve) => setImmediate(resolve));
    heard.push(
      ...stage
        .heard()
        .split(",")
        .filter((name) => name !== ""),
    );
  }
  assert.equal(heard.sort(), names);
});

test("the log says that an inbound on 0.0.0.0 is left out, once per version of its Dataplane", () => {
  const on = (port: number) =>
    dataplane("redis-1", { inbound: [{ interface: `0.0.0.0:${port}:80`, tags: { service: "redis" } }] });
  const stage = open([meshRecord(false), on(8000)]);
  const said = () => stage.errors.filter((line) => line.includes("inbounds on 0.0.0.0 are left out"));
  stage.join("redis-1");
  assert.is(said().length, 1);
  assert.match(said()[0] ?? "", /networking\.inbound\[0\]/);
  stage.touch({ everyone: true });
  stage.join("redis-1");
  assert.is(said().length, 1);
  stage.put(on(9000));
  stage.touch({ proxies: new Set(["redis-1"]) });
  assert.is(said().length, 2);
  stage.put(redis);
  stage.touch({ proxies: new Set(["redis-1"]) });
  assert.is(said().length, 2);
});

test("a Dataplane deleted while its proxy is connected is logged once, listed, and forgotten when it is back or the proxy disconnects", async () => {
  const stage = open(all);
  const client = stage.join("web-1");
  assert.equal([stage.errors, stage.proxies.unregistered()], [[], []]);
  const gone = [{ id: { mesh: "m", name: "web-1" }, since: new Date(0) }];
  const listed = () => stage.proxies.unregistered();
  for (const round of [1, 2]) {
    stage.becomes(meshRecord(false), redis, both);
    stage.touch({ proxies: new Set(["web-1"]) });
    await eventually("it is noticed", () => listed().length === 1);
    stage.touch({ everyone: true });
    await eventually("it is configured", () => client.configs.at(-1) === emptyConfig);
    assert.equal(listed(), gone);
    assert.is(stage.errors.length, 2 * round - 1);
    assert.match(stage.errors.at(-1) ?? "", /is gone: its listeners and clusters are removed\t.*"name":"web-1"/);
    stage.becomes(...all);
    stage.touch({ proxies: new Set(["web-1"]) });
    await eventually("it is back", () => listed().length === 0);
    assert.match(stage.errors.at(-1) ?? "", /exists again\t.*"name":"web-1"/);
  }
  stage.becomes(meshRecord(false));
  stage.touch({ proxies: new Set(["web-1"]) });
  await eventually("it is noticed", () => listed().length === 1);
  stage.proxies.leave(client);
  assert.equal(listed(), []);
});

test("a proxy that connects without a Dataplane is logged and listed, and keeps its configuration", () => {
  const stage = open([meshRecord(false)]);
  const client = stage.join("ghost");
  assert.equal(client.configs, []);
  assert.match(stage.errors.join(""), /a proxy is connected whose Dataplane does not exist: it keeps what it had/);
  assert.equal(
    stage.proxies.unregistered().map(({ id }) => id.name),
    ["ghost"],
  );
  stage.join("ghost");
  assert.is(stage.errors.length, 1);
});

test("a report of listeners is compared with every stream of the proxy, and of no other", () => {
  const { proxies, join } = open(all);
  assert.is(proxies.compareListeners({ mesh: "m", name: "web-1" }, new Set()), undefined);
  const [first, second, other] = [join("web-1"), join("web-1"), join("redis-1")];
  first.missing = ["a", "b"];
  second.missing = ["b", "c"];
  other.missing = ["d"];
  assert.equal(proxies.compareListeners({ mesh: "m", name: "web-1" }, new Set(["c"])), {
    missing: ["a", "b"],
    pending: false,
  });
  second.missing = [];
  assert.is(proxies.compareListeners({ mesh: "m", name: "web-1" }, new Set())?.pending, true);
  assert.is(proxies.compareListeners({ mesh: "n", name: "web-1" }, new Set()), undefined);
  proxies.leave(first);
  proxies.leave(second);
  assert.is(proxies.compareListeners({ mesh: "m", name: "web-1" }, new Set()), undefined);
});

test.run();
