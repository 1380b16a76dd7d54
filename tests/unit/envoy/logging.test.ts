import * as assert from "uvu/assert";
import { generate } from "../../../src/envoy/generate.js";
import { createPlacement, type Placement } from "../../../src/envoy/placement.js";
import type { Mesh } from "../../../src/resources/mesh.js";
import type { Stored } from "../../../src/store/store.js";
import type { MeshView } from "../../../src/view/mesh-view.js";
import { configJson } from "../../support/envoy-json.js";
import { dataplane, meshViewOf, stored } from "../../support/mesh-view.js";
import { suite } from "../../support/suite.js";

const test = suite("the log backends of outbounds");

type Backends = NonNullable<Mesh["logging"]>["backends"];

const file = (name: string, format = "%DURATION%") => ({ name, format, file: { path: `/tmp/${name}.log` } });
const meshWith = (backends: Backends = [file("a"), file("b")], defaultBackend = "") =>
  stored("Mesh", "m", { logging: { backends, defaultBackend } });

const select = (service: string) => [{ match: { service } }];
const log = (name: string, source: string, destination: string, backend?: string) =>
  stored("TrafficLog", name, {
    sources: select(source),
    destinations: select(destination),
    ...(backend === undefined ? {} : { conf: { backend } }),
  });

const proxyOf = (service: string, ...consumed: readonly string[]) =>
  dataplane(service, {
    inbound: [{ interface: "127.0.0.1:8000:80", tags: { service } }],
    outbound: consumed.map((each, index) => ({ interface: `:${10_000 + index}`, service: each })),
  });

function generated(mesh: MeshView, name: string, placement?: Placement) {
  const proxy = mesh.proxies.get(name);
  if (proxy === undefined) throw new Error(`there is no ${name}`);
  return generate(proxy, mesh, { connectTimeoutMs: 1000, secretServer: undefined }, placement);
}

/** The backends of each outbound of `web`, and the parts of policies without effect. */
function outcome(mesh: Stored, ...policies: readonly Stored[]) {
  const { config, ignored } = generated(meshViewOf(mesh, proxyOf("web", "redis", "db"), ...policies), "web");
  const listeners = configJson(config).listeners?.filter(({ name }) => String(name).startsWith("outbound")) ?? [];
  return {
    paths: listeners.map((listener) =>
      [...JSON.stringify(listener).matchAll(/"path":"([^"]*)"/g)].map(([, path]) => path),
    ),
    ignored: ignored.map(({ policy, field, reason }) => `${policy.type} ${policy.name} ${field}: ${reason}`),
  };
}

const none = { paths: [[], []], ignored: [] };
const a = "/tmp/a.log";
const b = "/tmp/b.log";

test("a proxy gets all backends except files outside of its log directories", () => {
  const outside = { name: "c", format: "%DURATION%", file: { path: "/tmp/../etc/cron.d/x" } };
  const relative = { name: "d", format: "%DURATION%", file: { path: "own.log" } };
  const mesh = meshViewOf(
    meshWith([file("a"), outside, relative]),
    proxyOf("web", "redis"),
    ...["a", "c", "d"].map((backend) => log(backend, "*", "*", backend)),
  );
  const told = (logDirectories?: readonly string[]) => {
    const { config, ignored } = generated(mesh, "web", createPlacement({ logDirectories }));
    const listener = config.lds.get("outbound:127.0.0.1:10000");
    if (listener === undefined) throw new Error("there is no listener");
    const shown = JSON.stringify(configJson(config).listeners);
    return {
      paths: [...shown.matchAll(/"path":"([^"]*)"/g)].map(([, path]) => path),
      ignored: ignored.map(({ policy, field, reason }) => `${policy.type} ${field}: ${reason}`),
    };
  };
  const left = (index: number, path: string) =>
    `Mesh logging.backends[${index}].file.path: some dataplanes allow no log file "${path}": it is below none of their KUMA_DATAPLANE_LOG_DIRECTORIES`;
  assert.equal(told(), { paths: [a, "own.log"], ignored: [left(1, outside.file.path)] });
  assert.equal(told([]), { paths: ["own.log"], ignored: [left(0, a), left(1, outside.file.path)] });
  assert.equal(told(["/tmp", "/etc/cron.d"]), { paths: [a, outside.file.path, "own.log"], ignored: [] });
});

test("a rule logs the connections of its sources to its destinations, to its backend or the default one", () => {
  assert.equal(outcome(meshWith()), none);
  assert.equal(outcome(meshWith(), log("l", "web", "redis", "b")).paths, [[b], []]);
  assert.equal(outcome(meshWith(undefined, "a"), log("l", "web", "redis")).paths, [[a], []]);
  assert.equal(outcome(meshWith(undefined, "a"), log("l", "web", "redis", "")).paths, [[a], []]);
  assert.equal(outcome(meshWith(undefined, "a"), log("l", "*", "*")).paths, [[a], [a]]);
  assert.equal(outcome(meshWith(undefined, "a"), log("l", "redis", "web")), none);
});

test("with several rules every backend is used once, in an order independent of policy names", () => {
  const rules: [source: string, destination: string, backend?: string][] = [
    ["web", "redis", "b"],
    ["*", "*"],
    ["web", "*", "b"],
    ["*", "redis", "a"],
  ];
  const named = (names: readonly string[]) =>
    outcome(meshWith(undefined, "a"), ...rules.map((rule, index) => log(names[index] ?? "", ...rule)));
  assert.equal(named(["1", "2", "3", "4"]), {
    paths: [
      [a, b],
      [a, b],
    ],
    ignored: [],
  });
  assert.equal(named(["4", "3", "2", "1"]), named(["1", "2", "3", "4"]));
});

test("a rule without a backend logs nothing, is reported, and does not affect the others", () => {
  const [noDefault, noSuch] = [log("no-default", "web", "*"), log("no-such", "web", "redis", "c")];
  assert.equal(outcome(meshWith(), noDefault, noSuch, log("good", "web", "redis", "b")), {
    paths: [[b], []],
    ignored: [
      "TrafficLog no-default conf.backend: the mesh has no default backend",
      'TrafficLog no-such conf.backend: the mesh has no logging backend "c"',
      "TrafficLog no-default conf.backend: the mesh has no default backend",
    ],
  });
  const listed = stored("TrafficLog", "l", {
    rules: [
      { sources: select("web"), destinations: select("db"), conf: { backend: "a" } },
      { sources: select("web"), destinations: select("redis"), conf: { backend: "c" } },
    ],
  });
  assert.equal(outcome(meshWith(), listed), {
    paths: [[], [a]],
    ignored: ['TrafficLog l rules[1].conf.backend: the mesh has no logging backend "c"'],
  });
});

test("a stored format that Envoy would reject only disables its own backend", () => {
  assert.equal(
    outcome(meshWith([file("a"), file("b", "%NO")]), log("1", "web", "redis", "a"), log("2", "web", "*", "b")),
    {
      paths: [[a], []],
      ignored: Array(2).fill("Mesh m logging.backends[1]: no Envoy would take it"),
    },
  );
});

test("the source is the first service of the dataplane, at its own address", () => {
  const mesh = meshViewOf(
    meshWith([file("a", "%KUMA_SOURCE_SERVICE% %KUMA_SOURCE_ADDRESS% %KUMA_DESTINATION_SERVICE%")]),
    dataplane("p", {
      inbound: [
        { interface: "10.0.0.2:8000:80", tags: { service: "web" } },
        { interface: "10.0.0.1:8000:80", tags: { service: "api" } },
        { interface: "10.0.0.3:8000:80", tags: { service: "api", version: "2" } },
      ],
      outbound: [{ interface: ":10000", service: "redis" }],
    }),
    log("l", "web", "redis", "a"),
  );
  assert.match(JSON.stringify(configJson(generated(mesh, "p").config)), '"inlineString":"api 10.0.0.1:0 redis\\n"');
});

test("dataplanes with the same listener each log as themselves", () => {
  const format = "%KUMA_SOURCE_SERVICE% %KUMA_SOURCE_ADDRESS%";
  const at = (name: string, address: string, service: string) =>
    dataplane(name, {
      inbound: [{ interface: `${address}:8000:80`, tags: { service } }],
      outbound: [{ interface: ":10000", service: "redis" }],
    });
  const proxies = [at("a", "10.0.0.1", "web"), at("b", "10.0.0.2", "web"), at("c", "10.0.0.2", "api")];
  const mesh = meshViewOf(meshWith([file("a", format)]), ...proxies, log("l", "*", "*", "a"));
  const lines = ["a", "b", "c"].map(
    (name) => /"inlineString":"([^"]*)"/.exec(JSON.stringify(configJson(generated(mesh, name).config)))?.[1],
  );
  assert.equal(lines, ["web 10.0.0.1:0\\n", "web 10.0.0.2:0\\n", "api 10.0.0.2:0\\n"]);
});

test("a change of rules or backends only changes the listeners that log by them", () => {
  const proxies = [proxyOf("web", "redis"), proxyOf("api", "redis"), proxyOf("job", "db"), proxyOf("redis")];
  const names = ["web", "api", "job", "redis"];
  const versions = (...resources: readonly Stored[]) => {
    const mesh = meshViewOf(...proxies, ...resources);
    return names.map((name) => [...generated(mesh, name).config.lds.values()].map(({ version }) => version).join());
  };
  const logs = [log("l", "web", "redis", "a"), log("m", "*", "db")];
  const before = versions(meshWith(undefined, "b"), ...logs);
  const changed = (...resources: readonly Stored[]) => {
    const after = versions(...resources);
    return names.filter((_, index) => after[index] !== before[index]);
  };
  assert.equal(changed(meshWith(undefined, "b"), ...logs), []);
  assert.equal(changed(meshWith(undefined, "b"), log("renamed", "web", "redis", "a"), log("m", "*", "db")), []);
  assert.equal(changed(meshWith(undefined, "b"), log("m", "*", "db")), ["web"]);
  assert.equal(changed(meshWith(undefined, "b"), ...logs, log("n", "*", "redis", "b")), ["web", "api"]);
  assert.equal(changed(meshWith([file("a", "x"), file("b")], "b"), ...logs), ["web"]);
  assert.equal(changed(meshWith(undefined, "a"), ...logs), ["job"]);
  assert.equal(changed(meshWith([file("a"), file("b"), file("c")], "b"), ...logs), []);
});

test.run();
