import { readFileSync } from "node:fs";
import * as assert from "uvu/assert";
import { apiHandler } from "../../../src/cp/api/handler.js";
import { specChecks } from "../../../src/cp/checks/spec-checks.js";
import { createSiteGuard } from "../../../src/net/cross-site.js";
import { type HttpServer, startHttpServer } from "../../../src/net/http-server.js";
import { registry } from "../../../src/resources/registry.js";
import { createMemoryStore } from "../../../src/store/memory.js";
import { authorityOptions } from "../../support/authorities.js";
import { suite } from "../../support/suite.js";
import { silent } from "./stage.js";

/** Sends each example of the product documentation's HTTP API as printed, and expects the response as printed. */
const test = suite("the examples of the product documentation");

const fixture = (name: string) =>
  readFileSync(new URL(`../../../fixtures/product-documentation/${name}.json`, import.meta.url), "utf8");
const parsed = (name: string): unknown => JSON.parse(fixture(name));

const store = createMemoryStore(registry);
let server: HttpServer;

test.before(async () => {
  server = await startHttpServer({
    layers: [],
    port: 0,
    host: "127.0.0.1",
    setting: "TEST_PORT",
    logger: silent,
    handler: apiHandler({
      registry,
      checks: specChecks(() => undefined),
      store,
      guard: createSiteGuard({ allowed: () => false, advertisedHostname: "localhost" }),
      logger: silent,
      version: "0.3.0",
      readOnly: false,
      catalogue: {},
      config: {},
      ...authorityOptions(store),
    }),
  });
});

test.after(() => server.close());

async function curl(method: string, path: string, data?: string) {
  const response = await fetch(`http://127.0.0.1:${server.port}${path}`, {
    method,
    ...(data === undefined ? {} : { body: data, headers: { "content-type": "application/json" } }),
  });
  const text = await response.text();
  return { status: response.status, json: text === "" ? undefined : (JSON.parse(text) as unknown) };
}

/** Create, update, get and list, as in each section. */
async function lives(path: string, collection: string, one: string, all: string): Promise<void> {
  assert.equal(await curl("PUT", path, fixture(one)), { status: 201, json: undefined });
  assert.equal(await curl("PUT", path, fixture(one)), { status: 200, json: undefined });
  assert.equal(await curl("GET", path), { status: 200, json: parsed(one) });
  assert.equal(await curl("GET", collection), { status: 200, json: parsed(all) });
}

async function isDeleted(path: string): Promise<void> {
  assert.equal(await curl("DELETE", path), { status: 200, json: undefined });
  assert.is((await curl("GET", path)).status, 404);
}

test("Meshes", () => lives("/meshes/mesh-1", "/meshes", "mesh", "meshes"));

test("Dataplanes", async () => {
  await lives("/meshes/mesh-1/dataplanes/backend-1", "/meshes/mesh-1/dataplanes", "dataplane", "dataplanes");
  await isDeleted("/meshes/mesh-1/dataplanes/backend-1");
});

test("Dataplane Overviews", async () => {
  const { dataplane, dataplaneInsight } = parsed("overview") as { dataplane: object; dataplaneInsight: unknown };
  assert.is((await curl("PUT", "/meshes/default", '{"type":"Mesh","name":"default"}')).status, 201);
  const body = JSON.stringify({ type: "Dataplane", mesh: "default", name: "example", ...dataplane });
  assert.is((await curl("PUT", "/meshes/default/dataplanes/example", body)).status, 201);
  await store.create({ type: "DataplaneInsight", mesh: "default", name: "example", spec: dataplaneInsight });
  for (const collection of ["dataplanes+insights", "dataplane+insights", "dataplane+insights/"]) {
    assert.equal(await curl("GET", `/meshes/default/${collection}`), { status: 200, json: parsed("overviews") });
  }
  for (const item of ["dataplanes+insights/example", "dataplane+insights/example"]) {
    assert.equal(await curl("GET", `/meshes/default/${item}`), { status: 200, json: parsed("overview") });
  }
});

test("Proxy Template", async () => {
  const item = "/meshes/mesh-1/proxytemplates/pt-1";
  await lives(item, "/meshes/mesh-1/proxytemplates", "proxytemplate", "proxytemplates");
  await isDeleted(item);
});

test("Traffic Permission", async () => {
  const item = "/meshes/mesh-1/traffic-permissions/tp-1";
  await lives(item, "/meshes/mesh-1/traffic-permissions", "trafficpermission", "trafficpermissions");
  assert.equal(await curl("GET", "/meshes/mesh-1/trafficpermissions/tp-1"), {
    status: 200,
    json: parsed("trafficpermission"),
  });
  // The documentation deletes pt-1 after creating tp-1.
  assert.is((await curl("DELETE", "/meshes/mesh-1/traffic-permissions/pt-1")).status, 404);
  await isDeleted(item);
});

test("Traffic Log", async () => {
  const item = "/meshes/mesh-1/traffic-logs/tl-1";
  await lives(item, "/meshes/mesh-1/traffic-logs", "trafficlog", "trafficlogs");
  await isDeleted(item);
});

test("Delete Mesh", () => isDeleted("/meshes/mesh-1"));

test.run();
