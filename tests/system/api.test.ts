import { spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { load } from "js-yaml";
import * as assert from "uvu/assert";
import { bin, type ControlPlane, startControlPlane } from "../support/executable.js";
import { suite } from "../support/suite.js";

const test = suite("the HTTP API of a running control plane");
const withEnvoy = suite("the bootstrap of a running control plane, given to Envoy", { needs: "envoy" });

const documented = (name: string): Record<string, unknown> =>
  JSON.parse(fs.readFileSync(path.resolve("fixtures/product-documentation", `${name}.json`), "utf8"));

let cp: ControlPlane;

for (const each of [test, withEnvoy]) {
  each.before(async () => {
    cp = await startControlPlane();
  });
  each.after(async () => {
    await cp.stop();
  });
}

interface Answer {
  readonly status: number;
  readonly type: string | null;
  readonly text: string;
}

async function send(method: string, url: string, body?: unknown): Promise<Answer> {
  const response = await fetch(url, {
    method,
    ...(body === undefined
      ? {}
      : {
          body: typeof body === "string" ? body : JSON.stringify(body),
          headers: { "content-type": "application/json" },
        }),
  });
  return { status: response.status, type: response.headers.get("content-type"), text: await response.text() };
}

const get = (target: string) => send("GET", cp.api + target);
const put = (target: string, body: unknown) => send("PUT", cp.api + target, body);
const remove = (target: string) => send("DELETE", cp.api + target);
const bootstrap = (body: unknown) => send("POST", `${cp.bootstrap}/bootstrap`, body);

interface ErrorBody {
  readonly title: string;
  readonly details: string;
  readonly causes?: readonly { readonly field: string; readonly message: string }[];
}

const errorOf = ({ text }: Answer): ErrorBody => JSON.parse(text);
const fields = (answer: Answer) => (errorOf(answer).causes ?? []).map(({ field }) => field);

function assertRefused(answer: Answer, title: string, causes: readonly string[]): void {
  assert.is(answer.status, 400, answer.text);
  assert.match(answer.type ?? "", /^application\/json/);
  assert.equal([errorOf(answer).title, errorOf(answer).details], [title, "Resource is not valid"]);
  assert.equal(fields(answer), causes);
}

async function assertReads(target: string, expected: unknown): Promise<void> {
  const answer = await get(target);
  assert.is(answer.status, 200, answer.text);
  assert.equal(JSON.parse(answer.text), expected);
}

const mesh = (name: string, spec: object = {}) => ({ type: "Mesh", name, ...spec });
const inbound = (address: string, tags: object) => ({ interface: address, tags });

function dataplane(name: string, inMesh: string, networking: object) {
  return { type: "Dataplane", mesh: inMesh, name, networking };
}

const oneInbound = { inbound: [inbound("127.0.0.1:8000:80", { service: "web" })] };

/** A mesh of the test's own. */
async function newMesh(name: string): Promise<string> {
  assert.is((await put(`/meshes/${name}`, mesh(name))).status, 201);
  return `/meshes/${name}/dataplanes`;
}

test("the index says that this is Kuma, and which version", async () => {
  const { status, text } = await get("/");
  assert.is(status, 200);
  const index: { tagline: string; version: string } = JSON.parse(text);
  assert.is(index.tagline, "Kuma");
  assert.match(index.version, /./);
});

test("a new control plane has the mesh default, with a builtin CA and mTLS off", async () => {
  const expected = { type: "Mesh", name: "default", mtls: { ca: { builtin: {} } } };
  await assertReads("/meshes", { items: [expected] });
  await assertReads("/meshes/default", expected);
});

test("the product documentation's mesh is created, then updated, and reads back as it was written", async () => {
  const created = await put("/meshes/mesh-1", documented("mesh"));
  assert.equal([created.status, created.text], [201, ""]);
  const updated = await put("/meshes/mesh-1", documented("mesh"));
  assert.equal([updated.status, updated.text], [200, ""]);
  await assertReads("/meshes/mesh-1", documented("mesh"));
  await assertReads("/meshes/mesh-1/", documented("mesh"));
});

test("the product documentation's dataplane reads back as it was written, alone and in the list", async () => {
  assert.is((await put("/meshes/mesh-1/dataplanes/backend-1", documented("dataplane"))).status, 201);
  await assertReads("/meshes/mesh-1/dataplanes/backend-1", documented("dataplane"));
  await assertReads("/meshes/mesh-1/dataplanes", { items: [documented("dataplane")] });
});

test("a dataplane that was not created is not found", async () => {
  const answer = await get("/meshes/mesh-1/dataplanes/nope");
  assert.is(answer.status, 404);
  assert.match(answer.type ?? "", /^application\/json/);
  assert.equal(errorOf(answer), { title: "Could not retrieve a resource", details: "Not found" });
});

test("a body whose name, type or mesh is not the URL's is refused, and nothing changes", async () => {
  const body = documented("dataplane");
  const target = "/meshes/mesh-1/dataplanes/backend-1";
  const title = "Could not process a resource";
  assertRefused(await put(target, { ...body, name: "other" }), title, ["name"]);
  assertRefused(await put(target, { ...body, type: "Mesh" }), title, ["type"]);
  assertRefused(await put(target, { ...body, mesh: "default" }), title, ["mesh"]);
  const { type: _left, ...untyped } = body;
  assertRefused(await put(target, untyped), title, ["type"]);
  assertRefused(await put(target, { ...body, name: "x", type: "y", mesh: "z" }), title, ["name", "type", "mesh"]);
  await assertReads(target, body);
});

test("the mesh field in the body of a Mesh is ignored", async () => {
  assert.is((await put("/meshes/own", { ...mesh("own"), mesh: "elsewhere" })).status, 201);
  await assertReads("/meshes/own", { ...mesh("own"), mtls: { ca: { builtin: {} } } });
});

test("a name with capital letters or signs is refused", async () => {
  assertRefused(await put("/meshes/Bad$", mesh("Bad$")), "Could not process a resource", ["name", "mesh"]);
  const body = dataplane("Bad", "default", oneInbound);
  assertRefused(await put("/meshes/default/dataplanes/Bad", body), "Could not process a resource", ["name"]);
  const long = "a".repeat(101);
  assertRefused(
    await put(`/meshes/default/dataplanes/${long}`, dataplane(long, "default", oneInbound)),
    "Could not process a resource",
    ["name"],
  );
  const fits = "a".repeat(100);
  assert.is((await put(`/meshes/default/dataplanes/${fits}`, dataplane(fits, "default", oneInbound))).status, 201);
  await remove(`/meshes/default/dataplanes/${fits}`);
});

test("a dataplane of a mesh that does not exist is refused, naming the mesh", async () => {
  const answer = await put("/meshes/ghost/dataplanes/a", dataplane("a", "ghost", oneInbound));
  assert.is(answer.status, 400);
  const { title, details, causes } = errorOf(answer);
  assert.equal([title, details], ["Could not create a resource", "Mesh is not found"]);
  assert.is(causes?.[0]?.field, "mesh");
  assert.match(causes?.[0]?.message ?? "", /ghost/);
});

test("a new dataplane is validated before its mesh is looked up", async () => {
  const answer = await put("/meshes/ghost/dataplanes/a", dataplane("a", "ghost", {}));
  assertRefused(answer, "Could not create a resource", ["networking.inbound"]);
});

test("a new dataplane needs an inbound with a complete interface and a service", async () => {
  const target = "/meshes/default/dataplanes/new";
  const title = "Could not create a resource";
  assertRefused(await put(target, dataplane("new", "default", {})), title, ["networking.inbound"]);
  assertRefused(await put(target, { type: "Dataplane", mesh: "default", name: "new" }), title, ["networking.inbound"]);
  const incomplete = { inbound: [inbound("1.2.3.4:80", { version: "1" })] };
  assertRefused(await put(target, dataplane("new", "default", incomplete)), title, [
    "networking.inbound[0].interface",
    'networking.inbound[0].tags["service"]',
  ]);
  assert.is((await get(target)).status, 404);
});

test("an update with a wrong outbound is refused, and the stored dataplane stays", async () => {
  const target = "/meshes/mesh-1/dataplanes/backend-1";
  const { networking } = documented("dataplane") as { networking: object };
  const outbound = [{ interface: "x", service: "" }];
  const answer = await put(target, dataplane("backend-1", "mesh-1", { ...networking, outbound }));
  assertRefused(answer, "Could not update a resource", [
    "networking.outbound[0].interface",
    "networking.outbound[0].service",
  ]);
  await assertReads(target, documented("dataplane"));
});

test("all errors in the logging of a mesh are reported at once, in order", async () => {
  const backends = [
    { name: "b", file: { path: "/tmp/log" } },
    { name: "b", tcp: { address: "noport" } },
  ];
  const answer = await put("/meshes/logs", mesh("logs", { logging: { backends, defaultBackend: "zzz" } }));
  assertRefused(answer, "Could not create a resource", [
    "logging.backends[1].tcp.address",
    "logging.backends[1].name",
    "logging.defaultBackend",
  ]);
});

test("a logging backend is a file or a TCP address, and has a name, a path and a format that parses", async () => {
  const causesOf = async (backend: object) => {
    const answer = await put("/meshes/logs", mesh("logs", { logging: { backends: [backend] } }));
    assert.is(answer.status, 400, answer.text);
    return fields(answer);
  };
  assert.equal(await causesOf({ name: "b" }), ["logging.backends[0]"]);
  assert.equal(await causesOf({ name: "b", file: { path: "/x" }, tcp: { address: "h:1" } }), ["logging.backends[0]"]);
  assert.equal(await causesOf({ file: { path: "/x" } }), ["logging.backends[0].name"]);
  assert.equal(await causesOf({ name: "b", file: {} }), ["logging.backends[0].file.path"]);
  assert.equal(await causesOf({ name: "b", tcp: {} }), ["logging.backends[0].tcp.address"]);
  const format = "%KUMA_SOURCE_SERVIC%";
  assert.equal(await causesOf({ name: "b", format, file: { path: "/x" } }), ["logging.backends[0].format"]);
  assert.is((await get("/meshes/logs")).status, 404);
});

test("a misspelled field is rejected with the nearest known name", async () => {
  const answer = await put("/meshes/misspelt", mesh("misspelt", { loging: {} }));
  assertRefused(answer, "Could not process a resource", ["loging"]);
  assert.match(errorOf(answer).causes?.[0]?.message ?? "", /logging/);
});

test("a truncated body or a field of the wrong type is rejected with the reason", async () => {
  for (const body of ['{"type":', "[]", "", { ...documented("dataplane"), networking: "none" }]) {
    const answer = await put("/meshes/mesh-1/dataplanes/backend-1", body);
    assert.is(answer.status, 400);
    assert.is(errorOf(answer).title, "Could not process a resource");
    assert.match(errorOf(answer).details, /./);
  }
});

test("one interface may serve two services, but no outbound may take an inbound's port", async () => {
  const dataplanes = await newMesh("shared-port");
  const a = inbound("127.0.0.1:80:81", { service: "a" });
  const b = inbound("127.0.0.1:80:81", { service: "b" });
  const both = dataplane("two", "shared-port", { inbound: [a, b] });
  assert.is((await put(`${dataplanes}/two`, both)).status, 201);
  await assertReads(`${dataplanes}/two`, both);
  const outbound = [{ interface: "127.0.0.1:80", service: "c" }];
  assertRefused(
    await put(`${dataplanes}/one`, dataplane("one", "shared-port", { inbound: [a], outbound })),
    "Could not create a resource",
    ["networking.outbound[0].interface"],
  );
});

test("a tag value that can't be part of a SPIFFE ID is rejected", async () => {
  const target = "/meshes/default/dataplanes/tags";
  for (const value of ["*", "a b", "é", "x".repeat(256), ""]) {
    const networking = { inbound: [inbound("127.0.0.1:80:81", { service: "a", k: value })] };
    const answer = await put(target, dataplane("tags", "default", networking));
    assertRefused(answer, "Could not create a resource", ['networking.inbound[0].tags["k"]']);
  }
});

test("fields may be written in snake case and read back in camel case", async () => {
  const networking = { ...oneInbound, transparent_proxying: { redirect_port: 15001 } };
  const target = "/meshes/default/dataplanes/snake";
  assert.is((await put(target, dataplane("snake", "default", networking))).status, 201);
  await assertReads(
    target,
    dataplane("snake", "default", { ...oneInbound, transparentProxying: { redirectPort: 15001 } }),
  );
  assert.is((await remove(target)).status, 200);
});

test("insights can only be read", async () => {
  const target = "/meshes/mesh-1/dataplane-insights/backend-1";
  const body = { type: "DataplaneInsight", mesh: "mesh-1", name: "backend-1" };
  assert.is((await put(target, body)).status, 405);
  assert.is((await remove(target)).status, 405);
  assert.is((await get(target)).status, 404);
});

test("deleting a mesh deletes its dataplanes, and it can be created again empty", async () => {
  const dataplanes = await newMesh("doomed");
  await put(`${dataplanes}/a`, dataplane("a", "doomed", oneInbound));
  const deleted = await remove("/meshes/doomed");
  assert.equal([deleted.status, deleted.text], [200, ""]);
  for (const kind of ["dataplanes", "dataplane-insights", "dataplanes+insights", "proxytemplates"]) {
    await assertReads(`/meshes/doomed/${kind}`, { items: [] });
  }
  for (const kind of ["traffic-permissions", "traffic-logs", "traffic-routes", "health-checks"]) {
    await assertReads(`/meshes/doomed/${kind}`, { items: [] });
  }
  assert.is((await get("/meshes/doomed")).status, 404);
  await newMesh("doomed");
  await assertReads(dataplanes, { items: [] });
});

test("deleting a dataplane that does not exist says so", async () => {
  const answer = await remove("/meshes/default/dataplanes/nope");
  assert.is(answer.status, 404);
  assert.equal(errorOf(answer), { title: "Could not delete a resource", details: "Not found" });
});

test("the catalogue has the bootstrap and the token server, under both spellings and on both servers", async () => {
  const port = new URL(cp.bootstrap).port;
  const expected = {
    apis: {
      bootstrap: { url: `http://localhost:${port}` },
      dataplaneToken: { localUrl: `http://localhost:${new URL(cp.tokens).port}`, publicUrl: "" },
    },
  };
  for (const base of [cp.api, cp.bootstrap]) {
    for (const name of ["catalogue", "catalog", "catalogue/"]) {
      const answer = await send("GET", `${base}/${name}`);
      assert.is(answer.status, 200);
      assert.equal(JSON.parse(answer.text), expected);
    }
  }
});

test("health is served on its own port", async () => {
  const statuses = [];
  for (const name of ["healthy", "ready", "x"]) statuses.push((await send("GET", `${cp.health}/${name}`)).status);
  assert.equal(statuses, [200, 200, 404]);
});

test("unknown paths are 404 and unknown methods 405", async () => {
  assert.is((await get("/nothing")).status, 404);
  assert.is((await get("/meshes/default/secrets")).status, 404);
  assert.is((await send("POST", `${cp.api}/meshes`, mesh("x"))).status, 405);
  assert.is((await put("/meshes", mesh("x"))).status, 405);
});

test("a PUT of a form is rejected, and responses are only available as JSON", async () => {
  const body = JSON.stringify(mesh("typed"));
  const typed = (headers: Record<string, string>) =>
    fetch(`${cp.api}/meshes/typed`, { method: "PUT", body: Buffer.from(body), headers });
  assert.is((await typed({ "content-type": "application/x-www-form-urlencoded" })).status, 415);
  assert.is((await typed({ "content-type": "application/json", accept: "text/html" })).status, 406);
  assert.is((await typed({})).status, 201);
});

test("a body over 1 MiB is rejected, with or without a content length, and the control plane keeps running", async () => {
  const large = `{"type":"Mesh","name":"large","tracing":{"zipkin":{"address":"${"x".repeat(1024 * 1024)}"}}}`;
  const announced = await put("/meshes/large", large);
  assert.is(announced.status, 413);
  assert.is(errorOf(announced).title, "Could not process a resource");
  const chunked = await fetch(`${cp.api}/meshes/large`, {
    method: "PUT",
    headers: { "content-type": "application/json" },
    body: new Blob([large]).stream(),
    duplex: "half",
  } as RequestInit);
  assert.is(chunked.status, 413);
  await chunked.text();
  assert.is((await get("/meshes/large")).status, 404);
  assert.is(cp.child.exitCode, null);
});

test("a body of exactly 1 MiB is accepted", async () => {
  const limit = 1024 * 1024;
  const text = JSON.stringify(mesh("exact"));
  assert.is((await put("/meshes/exact", text.padEnd(limit))).status, 201);
  assert.is((await put("/meshes/exact", text.padEnd(limit + 1))).status, 413);
});

test("a bootstrap is returned only for a registered dataplane", async () => {
  const ask = { mesh: "boot", name: "redis-1" };
  await newMesh("boot");
  const unregistered = await bootstrap(ask);
  assert.is(unregistered.status, 404);
  assert.match(unregistered.type ?? "", /^application\/json/);
  assert.is(errorOf(unregistered).title, "Could not find a Dataplane");
  await registerRedis("boot");
  const registered = await bootstrap(ask);
  assert.is(registered.status, 200);
  assert.match(registered.type ?? "", /^text\/x-yaml/);
  const { node, admin, dynamicResources } = load(registered.text) as BootstrapDocument;
  assert.equal(node, {
    id: "boot.redis-1",
    cluster: "redis",
    metadata: { bootstrapRevision: 1 },
  });
  assert.is(admin, undefined);
  assert.is(dynamicResources.adsConfig.apiType, "DELTA_GRPC");
});

interface BootstrapDocument {
  readonly node: { readonly id: string; readonly cluster: string; readonly metadata?: object };
  readonly admin?: { readonly address: unknown };
  readonly dynamicResources: { readonly adsConfig: { readonly apiType: string } };
}

async function registerRedis(inMesh: string): Promise<void> {
  const networking = { inbound: [inbound("127.0.0.1:9000:6379", { service: "redis" })] };
  const body = dataplane("redis-1", inMesh, networking);
  assert.ok((await put(`/meshes/${inMesh}/dataplanes/redis-1`, body)).status < 300);
}

test("a bootstrap has the requested admin port and token path", async () => {
  await registerRedis("default");
  const ask = { mesh: "default", name: "redis-1", adminPort: 9901, dataplaneTokenPath: "token" };
  const document = load((await bootstrap(ask)).text) as BootstrapDocument;
  assert.equal(document.admin?.address, { socketAddress: { address: "127.0.0.1", portValue: 9901 } });
  assert.equal(document.node.metadata, { dataplaneTokenPath: "token", bootstrapRevision: 1 });
});

test("a bootstrap request that is not JSON or names no dataplane is rejected", async () => {
  for (const body of ["{", "", { mesh: "default", name: "" }, { mesh: "", name: "a" }, { name: "a" }, []]) {
    const answer = await bootstrap(body);
    assert.is(answer.status, 400, JSON.stringify(body));
    assert.match(errorOf(answer).title, /bootstrap/);
  }
  assert.is((await bootstrap({ mesh: "nowhere", name: "a" })).status, 404);
  assert.is((await send("GET", `${cp.bootstrap}/bootstrap`)).status, 405);
  assert.is((await send("GET", `${cp.bootstrap}/x`)).status, 404);
});

withEnvoy("accepts it, with and without an admin port and a token", async () => {
  await registerRedis("default");
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "kuma-test-"));
  try {
    for (const extra of [{}, { adminPort: 9901, dataplaneTokenPath: "token" }]) {
      const { status, text } = await bootstrap({ mesh: "default", name: "redis-1", ...extra });
      assert.is(status, 200);
      const file = path.join(directory, "bootstrap.yaml");
      fs.writeFileSync(file, text);
      const run = spawnSync(path.join(bin, "envoy"), ["--mode", "validate", "-c", file], { encoding: "utf8" });
      assert.is(run.status, 0, run.stderr);
    }
  } finally {
    fs.rmSync(directory, { recursive: true, force: true });
  }
});

test.run();
withEnvoy.run();
