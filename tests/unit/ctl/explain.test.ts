import * as assert from "uvu/assert";
import {
  configDiffSchema,
  configDumpSchema,
  policiesSchema,
  readAnswer,
  trafficSchema,
} from "../../../src/ctl/explain/answers.js";
import { configDiffText, configDumpText } from "../../../src/ctl/explain/config-text.js";
import { policiesText } from "../../../src/ctl/explain/policies-text.js";
import { trafficText } from "../../../src/ctl/explain/traffic-text.js";
import { dataplanePolicies } from "../../../src/policy/dataplane-policies.js";
import type { Delivered, Observations } from "../../../src/policy/explain/observations.js";
import { explainTraffic } from "../../../src/policy/explain/traffic.js";
import { policyTypes } from "../../../src/resources/registry.js";
import { decode } from "../../../src/resources/schema.js";
import type { Stored } from "../../../src/store/store.js";
import { match, policyMesh } from "../../support/explained-meshes.js";
import { dataplane, meshRecord, meshViewOf, permission, stored } from "../../support/mesh-view.js";
import { suite } from "../../support/suite.js";
import { createHome, golden, startServer } from "./stage.js";

const test = suite("kumactl explain and inspect dataplane");

const home = createHome();
test.after(() => home.remove());

const now = new Date("2026-10-01T10:00:00Z");

interface Oddities {
  readonly offline?: readonly string[];
  readonly listeners?: Readonly<Record<string, Delivered>>;
  readonly certificates?: Readonly<
    Record<string, { readonly notAfter?: Date; readonly services?: readonly string[]; readonly refusal?: string }>
  >;
}

function observations({ offline = [], listeners = {}, certificates = {} }: Oddities): Observations {
  const listener = (name: string): Delivered => listeners[name] ?? { state: "acknowledged" };
  return {
    now,
    proxy: (name) => ({
      online: !offline.includes(name),
      notAfter: name in certificates ? certificates[name]?.notAfter : new Date("2026-10-31T10:00:00Z"),
      services: certificates[name]?.services,
      refusal: certificates[name]?.refusal,
    }),
    inbound: listener,
    outbound: listener,
  };
}

const web = (name = "web-1") =>
  dataplane(name, {
    inbound: [{ interface: "10.0.0.1:8000:80", tags: { service: "web" } }],
    outbound: [{ interface: ":10000", service: "redis" }],
  });
const redis = (number: number, version: string) =>
  dataplane(`redis-${number}`, {
    inbound: [{ interface: `10.0.1.${number}:9000:6379`, tags: { service: "redis", version } }],
  });
const permit = (name: string, source: string, destination: string | Readonly<Record<string, string>>) =>
  permission(name, { rules: [{ sources: match(source), destinations: match(destination) }] });
const split = stored("TrafficRoute", "split", {
  sources: match("web"),
  destinations: match("redis"),
  conf: [
    { weight: 90, destination: { service: "redis", version: "1" } },
    { weight: 10, destination: { service: "redis", version: "2" } },
  ],
});

/** Meshes, and what is odd in them, by the name of the text. */
const situations: Readonly<Record<string, readonly [resources: readonly Stored[], oddities?: Oddities]>> = {
  allowed: [[meshRecord(), web(), redis(1, "1"), permit("web-to-redis", "web", "redis")]],
  denied: [[meshRecord(), web(), redis(1, "1"), permit("v2", "web", { service: "redis", version: "2" })]],
  partial: [
    [
      meshRecord(),
      web(),
      web("web-2"),
      redis(1, "1"),
      redis(2, "2"),
      split,
      permit("v1", "*", { service: "redis", version: "1" }),
    ],
    { offline: ["web-2"], listeners: { "web-1": { state: "pending" } } },
  ],
  "mtls-off": [[meshRecord(false), web(), redis(1, "1")]],
  troubles: [
    [
      meshRecord(),
      web(),
      dataplane("web-2", { inbound: [{ interface: "10.0.0.2:8000:80", tags: { service: "web" } }] }),
      redis(1, "1"),
      redis(2, "2"),
      redis(3, "2"),
      permit("web-to-redis", "web", "redis"),
      stored("HealthCheck", "hc", {
        sources: match("*"),
        destinations: match("redis"),
        conf: { passiveChecks: { unhealthyThreshold: 3, penaltyInterval: "5s" } },
      }),
    ],
    {
      offline: ["redis-1"],
      listeners: { "redis-2": { state: "refused", reason: "cannot bind\n'10.0.1.2:9000'" } },
      certificates: {
        "redis-3": { notAfter: new Date("2026-09-30T10:00:00Z") },
        "web-2": { refusal: "the token is invalid: it has expired" },
        "web-1": { notAfter: new Date("2026-10-01T14:30:00Z") },
      },
    },
  ],
  nowhere: [
    [
      meshRecord(),
      web(),
      stored("TrafficRoute", "closed", {
        sources: match("*"),
        destinations: match("redis"),
        conf: [{ destination: { service: "redis" } }],
      }),
      permit("web-to-redis", "web", "redis"),
    ],
  ],
  many: [
    [
      meshRecord(),
      web(),
      ...Array.from({ length: 25 }, (_, index) => redis(index + 10, "1")),
      permit("web-to-redis", "web", "redis"),
    ],
    { offline: Array.from({ length: 10 }, (_, index) => `redis-${index + 10}`) },
  ],
};

const explained = (resources: readonly Stored[], oddities: Oddities = {}) =>
  explainTraffic(meshViewOf(...resources), { from: "web", to: "redis" }, observations(oddities));

/** What a client gets. */
const sent = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

for (const [name, [resources, oddities]] of Object.entries(situations)) {
  test(`the text of an explanation: ${name}`, async () => {
    const answer = sent(explained(resources, oddities));
    assert.equal(
      decode(trafficSchema(policyTypes), answer, "strict").unknown,
      [],
      "kumactl knows all that the API tells",
    );
    const { actual, expected } = golden(
      `explain-${name}.txt`,
      await trafficText(readAnswer(trafficSchema(policyTypes), answer), now, false, policyTypes),
    );
    assert.is(actual, expected);
  });
}

test("colours are the verdict's", async () => {
  const [resources] = situations.denied ?? [[]];
  const text = await trafficText(
    readAnswer(trafficSchema(policyTypes), sent(explained(resources))),
    now,
    true,
    policyTypes,
  );
  assert.match(text, "\u001b[31mDENIED\u001b[39m\n");
});

test("the text of a dataplane's policies", () => {
  for (const [name, resources] of [
    ["policies", policyMesh],
    ["policies-mtls-off", [meshRecord(false), ...policyMesh.filter(({ type }) => type !== "Mesh")]],
  ] as const) {
    const mesh = meshViewOf(...resources);
    const proxy = mesh.proxies.get("web-1");
    const answer = sent(proxy && dataplanePolicies(mesh, proxy));
    assert.equal(decode(policiesSchema(policyTypes), answer, "strict").unknown, []);
    const { actual, expected } = golden(
      `inspect-dataplane-${name}.txt`,
      policiesText(readAnswer(policiesSchema(policyTypes), answer), policyTypes),
    );
    assert.is(actual, expected);
  }
});

const listener = (port: number) => ({ "@type": "type.googleapis.com/Listener", name: "in", address: { port } });

const dump = {
  mesh: "m",
  dataplane: "web-1",
  streams: [
    { resources: [] },
    {
      resources: [
        { type: "cds", name: "redis", state: "acknowledged", version: "a" },
        { type: "lds", name: "in", state: "refused", version: "b", reason: "no\nsuch port", resource: listener(1) },
        { type: "lds", name: "out", state: "sent", version: "c", resource: listener(2) },
      ],
    },
  ],
  elsewhere: [],
};

test("a configuration dump is Envoy JSON, with remarks", () => {
  const { json, remarks } = configDumpText(readAnswer(configDumpSchema, dump));
  assert.equal(JSON.parse(json), { listeners: [listener(1), listener(2)] });
  assert.equal(remarks, [
    "2 Envoys are connected under this name; this is the last one that connected",
    'CDS resource "redis" came from an earlier stream or another control plane',
    'Envoy refuses LDS resource "in": no such port',
    'LDS resource "out" is not acknowledged yet',
  ]);
});

const diffOf = (...differences: readonly unknown[]) => ({
  mesh: "m",
  dataplane: "web-1",
  settled: differences.length === 0,
  streams: [{ differences }],
  missingSecrets: [],
  elsewhere: [],
});

test("the text of what is not acknowledged", () => {
  const version = (port: number) => ({ version: `${port}`, resource: listener(port) });
  const answer = {
    ...diffOf(
      { type: "lds", name: "in", state: "refused", reason: "no", wanted: version(2), acknowledged: version(1) },
      { type: "lds", name: "new", state: "sent", wanted: version(1) },
      { type: "cds", name: "gone", state: "waiting", acknowledged: version(1) },
      { type: "eds", name: "again", state: "waiting", wanted: version(1), acknowledged: version(1) },
      { type: "cds", name: "old", state: "waiting", wanted: version(1), acknowledged: { version: "0" } },
      { type: "rds", name: "idle", state: "unrequested", wanted: version(1) },
    ),
    missingSecrets: ["identity_cert"],
  };
  assert.equal(decode(configDiffSchema, answer, "strict").unknown, []);
  const { actual, expected } = golden(
    "inspect-dataplane-diff.txt",
    configDiffText(readAnswer(configDiffSchema, answer)),
  );
  assert.is(actual, expected);
  assert.is(
    configDiffText(readAnswer(configDiffSchema, diffOf())),
    'Envoy of Dataplane "web-1" has acknowledged all of its configuration\n',
  );
});

test("a dataplane without a stream is an error that names the instance with one", () => {
  const offline = { ...diffOf(), streams: [] };
  assert.throws(
    () => configDiffText(readAnswer(configDiffSchema, offline)),
    'no Envoy of Dataplane "web-1" is connected',
  );
  const elsewhere = readAnswer(configDumpSchema, { ...dump, streams: [], elsewhere: ["cp-2"] });
  assert.throws(() => configDumpText(elsewhere), "is connected to another control plane (instance cp-2): ask that one");
});

test("the commands request the API and print its response unchanged", async () => {
  const asked: string[] = [];
  const answers: Readonly<Record<string, unknown>> = {
    policies: { ...(sent(explained([meshRecord(), web()])) as object), later: true },
    explain: sent(explained([meshRecord(), web()])),
    xds: dump,
    diff: diffOf(),
  };
  const server = await startServer((request, response) => {
    const url = request.url ?? "";
    asked.push(url);
    const key = url.includes("diff=true") ? "diff" : (Object.keys(answers).find((name) => url.includes(name)) ?? "");
    response.end(JSON.stringify(answers[key]));
  });
  home.pointTo(server.url);
  const run = (...words: string[]) => home.run(words);

  assert.equal(
    JSON.parse((await run("inspect", "dataplane", "a b", "--policies", "-o", "json")).out),
    answers.policies,
  );
  assert.match((await run("inspect", "dataplane", "a", "--diff", "--mesh", "m", "-o", "yaml")).out, /^mesh: m\n/);
  const dumped = await run("inspect", "dataplane", "a", "--config-dump");
  assert.equal(Object.keys(JSON.parse(dumped.out)), ["listeners"]);
  assert.match(dumped.err, 'Envoy refuses LDS resource "in"');
  assert.is((await run("inspect", "dataplane", "a", "--config-dump", "--diff")).code, 0);
  assert.match(
    (await run("explain", "traffic", "--from", "web", "--to", "a:80&b")).out,
    /^web -> redis in mesh m: DENIED\n/,
  );
  assert.equal(asked, [
    "/meshes/default/dataplanes/a%20b/policies",
    "/meshes/m/dataplanes/a/xds?diff=true",
    "/meshes/default/dataplanes/a/xds",
    "/meshes/default/dataplanes/a/xds?diff=true",
    "/meshes/default/explain?from=web&to=a%3A80%26b",
  ]);
  await server.close();
});

test("wrong flags and unexpected responses are errors that say what is expected", async () => {
  const server = await startServer((_, response) => response.end('{"streams":5,"problems":[5],"inbounds":{}}'));
  home.pointTo(server.url);
  const err = async (...words: string[]) => {
    const { code, err: text } = await home.run(words);
    assert.is(code, 1, words.join(" "));
    return text;
  };
  const inspect = ["inspect", "dataplane", "a"];
  assert.match(await err(...inspect), /^Error: one of --policies, --config-dump and --diff has to be given\n/);
  assert.match(await err(...inspect, "--policies", "--diff"), /^Error: --policies can't be combined with /);
  assert.match(
    await err("inspect", "dataplane", "--policies"),
    /^Error: accepts 1 arg.*\n.*\n {2}kumactl inspect dataplane NAME/,
  );
  assert.match(await err("explain", "traffic", "--from", "web"), /^Error: required flag\(s\) "to" not set\n/);
  for (const flag of ["--policies", "--diff", "--config-dump"]) {
    assert.match(await err(...inspect, flag), /^Error: the Control Plane sent an unexpected response: /);
  }
  assert.match(
    await err("explain", "traffic", "--from", "a", "--to", "b"),
    /^Error: the Control Plane sent an unexpected response: /,
  );
  await server.close();
});

test.run();
