import * as assert from "uvu/assert";
import { droppedWarnings, kumaVersion } from "../../../src/ctl/older.js";
import { suite } from "../../support/suite.js";
import { startKuma03 } from "./kuma-0-3-server.js";
import { createHome, startControlPlane, startServer } from "./stage.js";

const test = suite("kumactl and a control plane of Kuma 0.3.0");

let home = createHome();
let older: Awaited<ReturnType<typeof startKuma03>>;

test.before.each(async () => {
  home = createHome();
  older = await startKuma03();
  home.pointTo(older.url);
});
test.after.each(async () => {
  home.remove();
  await older.close();
});

const dataplane = (name: string, service: string) => `type: Dataplane
mesh: default
name: ${name}
networking:
  inbound:
  - interface: 127.0.0.1:11011:11012
    tags:
      service: ${service}
`;

test("it is added, applied to, read and inspected", async () => {
  const added = await home.run(["config", "control-planes", "add", "--name=old", `--address=${older.url}`]);
  assert.equal(added, {
    code: 0,
    out: 'added Control Plane "old"\nswitched active Control Plane to "old"\n',
    err: "",
  });
  assert.equal(await home.run(["apply"], { stdin: dataplane("redis-1", "redis") }), { code: 0, out: "", err: "" });
  assert.match((await home.run(["get", "dataplanes"])).out, /default +redis-1 +service=redis/);
  assert.match((await home.run(["get", "meshes"])).out, /default +off/);
  assert.match((await home.run(["inspect", "dataplanes"])).out, /redis-1 +service=redis +Online/);
});

test("a token is generated, but not one with an expiry, which it would ignore", async () => {
  const words = ["generate", "dataplane-token", "--name=redis-1"];
  const { code, out } = await home.run(words);
  assert.is(code, 0);
  assert.match(out, /^\S+\.\S+\.\S+$/);
  const ending = await home.run([...words, "--valid-for=720h"]);
  assert.equal([ending.code, ending.out], [1, ""]);
  assert.match(
    ending.err,
    /does not support --valid-for, like Kuma 0\.3: its token would never expire, so it is not shown/,
  );
});

test("deleting what is not there says so, though it answers 200 in either case", async () => {
  await home.run(["apply"], { stdin: dataplane("redis-1", "redis") });
  assert.equal(await home.run(["delete", "dataplane", "redis-1"]), {
    code: 0,
    out: 'deleted Dataplane "redis-1"\n',
    err: "",
  });
  for (const [type, name, shown] of [
    ["dataplane", "redis-1", "Dataplane"],
    ["traffic-log", "nope", "TrafficLog"],
    ["mesh", "nope", "Mesh"],
  ] as const) {
    assert.equal(await home.run(["delete", type, name]), {
      code: 1,
      out: "",
      err: `Error: there is no ${shown} with name "${name}"\n`,
    });
  }
  assert.ok(older.requests.includes("DELETE /meshes/nope"), "what may be left of a mesh is deleted all the same");
});

test("dropped fields of a resource are a warning, omitted empty ones are not", async () => {
  const template =
    "type: ProxyTemplate\nmesh: default\nname: t\nselectors:\n- match:\n    service: redis\nimports:\n- default-proxy\n";
  const { code, err } = await home.run(["apply"], { stdin: template });
  assert.is(code, 0);
  assert.is(
    err,
    'Warning: ProxyTemplate "t": this Control Plane, which is older than this kumactl, has dropped what it doesn\'t know: imports\n',
  );
  const mesh = "type: Mesh\nname: default\nmtls:\n  enabled: false\n  ca:\n    builtin: {}\n";
  assert.equal(await home.run(["apply"], { stdin: mesh }), { code: 0, out: "", err: "" });
});

test("an API that it lacks is reported as missing, with its version", async () => {
  const healthCheck =
    "type: HealthCheck\nmesh: default\nname: h\nsources: [{match: {service: a}}]\ndestinations: [{match: {service: b}}]\n" +
    "conf: {activeChecks: {interval: 1s, timeout: 1s, unhealthyThreshold: 1, healthyThreshold: 1}}\n";
  for (const [words, path] of [
    [["get", "healthchecks"], "meshes/default/health-checks"],
    [["apply"], "meshes/default/health-checks/h"],
    [["inspect", "dataplane", "a", "--policies"], "meshes/default/dataplanes/a/policies"],
    [["explain", "traffic", "--from=a", "--to=b"], "meshes/default/explain"],
  ] as const) {
    const { code, err } = await home.run(words, { stdin: healthCheck });
    assert.is(code, 1);
    assert.match(err, `this Control Plane (version 0.3.0) does not support /${path}: it is older than this kumactl`);
  }
});

test("a dry run is never taken for the real thing", async () => {
  const { code, err } = await home.run(["apply", "--dry-run"], { stdin: dataplane("redis-1", "redis") });
  assert.is(code, 1);
  assert.match(err, "this Control Plane does not support dry runs; nothing was changed");
  assert.is(older.resources.size, 1);
});

test("everything it has is exported, and missing types are named", async () => {
  await home.run(["apply"], { stdin: dataplane("redis-1", "redis") });
  const { code, out, err } = await home.run(["export"]);
  assert.is(code, 0);
  assert.match(out, "name: redis-1");
  assert.is(err, "Warning: this Control Plane is too old to have any HealthCheck\n");
  const newer = await startControlPlane();
  home.pointTo(newer.url);
  assert.is((await home.run(["apply"], { stdin: out })).code, 0, "and can be applied here");
  assert.is((await home.run(["export"])).err, "");
  await newer.close();
});

test("a tag value with a colon selects, although the server lists everything for it", async () => {
  await home.run(["apply"], { stdin: dataplane("web-1", "web.default.svc:80") });
  await home.run(["apply"], { stdin: dataplane("redis-1", "redis") });
  const { out } = await home.run(["inspect", "dataplanes", "--tag", "service=web.default.svc:80"]);
  assert.match(out, "web-1");
  assert.not.match(out, "redis-1");
});

test("it is checked like any other, without what it does not report", async () => {
  await home.run(["apply"], { stdin: dataplane("redis-1", "redis") });
  const { out, err } = await home.run(["check", "-o", "json"]);
  const document: { categories: { checks: { id: string; result: string }[] }[] } = JSON.parse(out);
  const results = Object.fromEntries(
    document.categories.flatMap(({ checks }) => checks.map(({ id, result }) => [id, result] as const)),
  );
  assert.is(err, "");
  for (const id of ["kuma", "mesh", "connected", "online"]) assert.is(results[id], "success", id);
  for (const id of ["api-exposure", "store", "sds-certificate", "limits", "destinations"])
    assert.is(results[id], undefined, id);
});

test("another server's 404 is not blamed on its age", async () => {
  const stranger = await startServer((_, response) => response.writeHead(404).end("nothing here"));
  home.pointTo(stranger.url);
  const { err } = await home.run(["get", "healthchecks"]);
  assert.not.match(err, "older");
  await stranger.close();
});

test("our own control plane is only asked whether it is ours, not what it kept", async () => {
  const ours = await startControlPlane();
  const paths: string[] = [];
  const proxy = await startServer(async (request, response) => {
    paths.push(`${request.method} ${request.url}`);
    let body = "";
    for await (const chunk of request) body += String(chunk);
    const { method = "GET" } = request;
    const answer = await fetch(ours.url + request.url, {
      method,
      headers: { "content-type": "application/json" },
      ...(body === "" ? {} : { body }),
    });
    response.writeHead(answer.status).end(await answer.text());
  });
  home.pointTo(proxy.url);
  const both = `${dataplane("a", "a")}---\n${dataplane("b", "b")}`;
  assert.is((await home.run(["apply"], { stdin: both })).code, 0);
  assert.equal(paths, [
    "PUT /meshes/default/dataplanes/a",
    "GET /certificate-authorities",
    "PUT /meshes/default/dataplanes/b",
  ]);
  await proxy.close();
  await ours.close();
});

test("an index is a control plane's when it says so", () => {
  const answer = (status: number, body: string) => ({ status, headers: {}, body });
  assert.is(kumaVersion(answer(200, '{"tagline":"Kuma","version":"0.3.0"}')), "0.3.0");
  assert.is(kumaVersion(answer(200, '{"tagline":"Kuma"}')), "unknown");
  for (const [status, body] of [
    [404, '{"tagline":"Kuma","version":"0.3.0"}'],
    [200, '{"tagline":"nginx"}'],
    [200, "<html>"],
    [200, "null"],
  ] as const) {
    assert.is(kumaVersion(answer(status, body)), undefined, body);
  }
});

test("of many dropped fields some are named, and there is no warning when the resource can't be read back", () => {
  assert.equal(droppedWarnings({ a: 1 }, undefined), []);
  assert.equal(droppedWarnings({ a: 1, b: { c: [] }, d: false }, { a: 2 }), []);
  const many = Object.fromEntries(Array.from({ length: 8 }, (_, index) => [`f${index}`, 1]));
  assert.match(droppedWarnings(many, {})[0] ?? "", /: f0, f1, f2, f3, f4 and 3 more$/);
});

test.run();
