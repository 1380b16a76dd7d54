import { request as httpRequest, type OutgoingHttpHeaders } from "node:http";
import * as assert from "uvu/assert";
import { type ReadContext, reads, type WriteContext, writes } from "../../../src/cp/api/endpoint.js";
import { type ApiTable, apiTable } from "../../../src/cp/api/endpoints.js";
import { apiHandler } from "../../../src/cp/api/handler.js";
import { createRenderer } from "../../../src/cp/api/rendering.js";
import { createSiteGuard } from "../../../src/net/cross-site.js";
import { type EndpointLayer, serveEndpoints } from "../../../src/net/endpoints.js";
import { errorReply, jsonReply, type LiveSink } from "../../../src/net/exchange.js";
import { type HttpServer, startHttpServer } from "../../../src/net/http-server.js";
import { localChangesOnly } from "../../../src/net/local-changes.js";
import { allowedOrigins } from "../../../src/net/origins.js";
import { dataplaneType } from "../../../src/resources/dataplane.js";
import { registry } from "../../../src/resources/registry.js";
import { createMemoryStore } from "../../../src/store/memory.js";
import type { Store } from "../../../src/store/store.js";
import { authorityOptions } from "../../support/authorities.js";
import { eventually } from "../../support/eventually.js";
import { suite } from "../../support/suite.js";
import { silent } from "./stage.js";

/** Endpoints that only this file knows: everything that the API does with them comes from the table. */
const test = suite("a newly added endpoint");

const weather = ({ store }: ReadContext) => [
  reads({
    path: "/meshes/{mesh}/weather",
    title: "Could not tell the weather",
    async handle({ parameters: { mesh } }) {
      const dataplanes = await store.list(dataplaneType, mesh);
      if (mesh === "stormy") throw new Error("lightning inside");
      return jsonReply(200, { mesh, outlook: dataplanes.length === 0 ? "calm" : "busy" });
    },
  }),
];
const forecasts = ({ store }: WriteContext) => [
  writes("PATCH", "write", {
    path: "/meshes/{mesh}/weather/{name}",
    title: "Could not change the weather",
    async handle({ parameters: { mesh, name } }) {
      await store.create({ type: "Dataplane", mesh, name, spec: {} });
      return { status: 201 };
    },
  }),
];
const gusts = new Set<LiveSink>();
const wind = () => [
  reads({
    path: "/wind",
    title: "Could not follow the wind",
    produces: "text/event-stream",
    handle: () => ({
      status: 200,
      headers: { "Content-Type": "text/event-stream" },
      body(sink: LiveSink) {
        gusts.add(sink);
        return () => void gusts.delete(sink);
      },
    }),
  }),
];

const extended: ApiTable = {
  readers: [...apiTable.readers, weather, wind],
  writers: [...apiTable.writers, forecasts],
};

const local: readonly EndpointLayer[] = [localChangesOnly({ remedy: "Do this" })];
const servers: HttpServer[] = [];
test.after.each(async () => {
  for (const server of servers.splice(0)) await server.close();
});

async function serve({ readOnly = false, layers = local } = {}) {
  const store = createMemoryStore(registry);
  const handler = apiHandler(
    {
      registry,
      checks: new Map(),
      store,
      guard: createSiteGuard({ allowed: await allowedOrigins(["http://ui.example"], "S"), advertisedHostname: "cp" }),
      logger: silent,
      version: "0.3.0",
      readOnly,
      catalogue: {},
      config: {},
      ...authorityOptions(store),
      layers,
    },
    extended,
  );
  const server = await startHttpServer({
    port: 0,
    host: "127.0.0.1",
    setting: "TEST_PORT",
    layers: [],
    handler,
    logger: silent,
  });
  servers.push(server);
  const url = `http://127.0.0.1:${server.port}`;
  /** Uses node:http, because fetch sets some headers itself and drops an Origin. */
  const ask = (method: string, path: string, headers: OutgoingHttpHeaders = {}) =>
    new Promise<{ status: number | undefined; text: string; header: (name: string) => unknown }>((resolve, reject) => {
      const outgoing = httpRequest(`${url}${path}`, { method, headers, agent: false }, (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (chunk: string) => {
          text += chunk;
        });
        response.on("end", () =>
          resolve({ status: response.statusCode, text, header: (name) => response.headers[name] }),
        );
      });
      outgoing.on("error", reject).end();
    });
  return { ask, store, url };
}

test("answers GET and HEAD over a socket, and only with a media type that its client accepts", async () => {
  const { ask } = await serve();
  const { status, text } = await ask("GET", "/meshes/a%20b/weather/");
  assert.equal([status, JSON.parse(text)], [200, { mesh: "a b", outlook: "calm" }]);
  const head = await ask("HEAD", "/meshes/m/weather");
  assert.equal([head.status, head.text, head.header("content-type")], [200, "", "application/json"]);
  assert.is((await ask("GET", "/meshes/m/weather", { accept: "text/html" })).status, 406);
  assert.is((await ask("GET", "/wind", { accept: "application/json" })).status, 406);
});

test("is suggested for a similar path, and listed for another method", async () => {
  const { ask } = await serve();
  assert.match((await ask("GET", "/meshes/m/wether")).text, /did you mean \\"\/meshes\/m\/weather\\"/);
  assert.match((await ask("GET", "/wnid")).text, /did you mean \\"\/wind\\"/);
  const wrong = await ask("PUT", "/meshes/m/weather");
  assert.equal([wrong.status, wrong.header("allow")], [405, "GET, HEAD"]);
  const other = await ask("GET", "/meshes/m/weather/rain");
  assert.equal([other.status, other.header("allow")], [405, "PATCH"]);
});

test("enforces its access: a writing one is for this machine, and not for cross-site requests", async () => {
  const { ask, store } = await serve();
  const path = "/meshes/m/weather/rain";
  const forwarded = await ask("PATCH", path, { "x-forwarded-for": "192.0.2.1" });
  assert.equal([forwarded.status, /only from the control plane's own machine/.test(forwarded.text)], [403, true]);
  assert.is((await ask("GET", "/meshes/m/weather", { "x-forwarded-for": "192.0.2.1" })).status, 200);
  assert.is((await ask("PATCH", path, { origin: "http://evil.example" })).status, 403);
  assert.equal(await store.list(dataplaneType, "m"), []);
  assert.is((await ask("PATCH", path)).status, 201);
  assert.match((await ask("GET", "/meshes/m/weather")).text, /busy/);
  const readOnly = await serve({ readOnly: true });
  const refused = await readOnly.ask("PATCH", path);
  assert.equal([refused.status, refused.header("allow")], [405, ""]);
});

test("is part of CORS, and its failures have its title", async () => {
  const { ask } = await serve();
  const origin = "http://ui.example";
  const preflight = await ask("OPTIONS", "/meshes/m/weather/rain", { origin });
  assert.equal(
    [preflight.status, preflight.header("access-control-allow-methods")],
    [200, "GET, HEAD, PUT, DELETE, PATCH"],
  );
  const failed = await ask("GET", "/meshes/stormy/weather", { origin });
  assert.equal(
    [failed.status, JSON.parse(failed.text), failed.header("access-control-allow-origin")],
    [500, { title: "Could not tell the weather", details: "Internal Server Error" }, origin],
  );
});

test("may stay open for as long as its client reads", async () => {
  const { url } = await serve();
  const leaving = new AbortController();
  const answer = await fetch(`${url}/wind`, { headers: { accept: "text/event-stream" }, signal: leaving.signal });
  const reader = (answer.body as ReadableStream<Uint8Array>).getReader();
  for (const gust of ["data: north\n\n", "data: east\n\n"]) {
    for (const sink of gusts) sink.send(gust);
    assert.is(Buffer.from((await reader.read()).value ?? []).toString(), gust);
  }
  leaving.abort();
  await eventually("nobody blows any more", () => gusts.size === 0);
});

test("is guarded and recorded by layers that see the request and its result", async () => {
  const records: string[] = [];
  const record: EndpointLayer = (handler) => async (call) => {
    const reply = await handler(call);
    const { endpoint, parameters, request } = call;
    records.push([request.peer, endpoint?.access, endpoint?.path, parameters.mesh, reply.status].join(" "));
    return reply;
  };
  const knownOnly: EndpointLayer = (handler) => (call) =>
    call.endpoint?.path === "/" || call.request.headers.authorization === "Bearer known"
      ? handler(call)
      : errorReply("request.secrets-token", { title: call.endpoint?.title ?? "Not allowed" });
  const { ask } = await serve({ layers: [record, knownOnly] });
  const known = { authorization: "Bearer known" };
  await ask("GET", "/");
  await ask("GET", "/meshes/m/weather");
  await ask("GET", "/meshes/m/weather", known);
  await ask("PATCH", "/meshes/m/weather/rain", known);
  await ask("GET", "/nowhere");
  await ask("GET", "/nowhere", known);
  assert.equal(records, [
    "127.0.0.1 read /  200",
    "127.0.0.1 read /meshes/{mesh}/weather m 401",
    "127.0.0.1 read /meshes/{mesh}/weather m 200",
    "127.0.0.1 write /meshes/{mesh}/weather/{name} m 201",
    "127.0.0.1    401",
    "127.0.0.1    404",
  ]);
});

/** True if a store of this type can only be read; the type checker verifies this before any test runs. */
type OnlyReads<Kind> = [Exclude<keyof Kind, "get" | "getAll" | "list">] extends [never] ? true : false;
const contextReads: OnlyReads<ReadContext["store"]> = true;
const storeReads: OnlyReads<Store> = false;

test("cannot change anything by GET, nor can any other one: their context is read-only", async () => {
  assert.equal([contextReads, storeReads], [true, false]);
  const store = createMemoryStore(registry);
  for (const type of ["Mesh", "Dataplane"]) await store.create({ type, mesh: "m", name: "m", spec: {} });
  const used = new Set<PropertyKey>();
  const watched = new Proxy(store, {
    get(target, property, receiver) {
      used.add(property);
      return Reflect.get(target, property, receiver);
    },
  });
  const options = { ...authorityOptions(watched), registry, version: "1", catalogue: {}, config: {} };
  const context: ReadContext = { ...options, store: watched, renderer: createRenderer() };
  const endpoints = extended.readers.flatMap((reader) => reader(context));
  const handle = serveEndpoints({ endpoints, layers: [] });
  const query = "from=a&to=b";
  const request = { method: "GET", headers: {}, body: Buffer.alloc(0), peer: "127.0.0.1", query };
  for (const { path, methods } of endpoints) {
    assert.equal(methods, ["GET", "HEAD"]);
    const { status } = await handle({ ...request, path: path.replaceAll(/\{\w+\}/g, "m") });
    assert.ok([200, 400, 404].includes(status), `${path} ${status}`);
  }
  assert.ok(endpoints.length > 25, `${endpoints.length} endpoints`);
  // `GET /status` has the store try a write and roll it back.
  assert.equal([...used].sort(), ["get", "list", "tryWrite"]);
});

test.run();
