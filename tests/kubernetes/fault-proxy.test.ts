import https from "node:https";
import * as assert from "uvu/assert";
import { eventually } from "../support/eventually.js";
import { suite } from "../support/suite.js";
import { type ApiServer, startApiServer } from "./api-server.js";
import { type Cluster, clusterAt } from "./cluster.js";
import { type FaultProxy, startFaultProxy } from "./fault-proxy.js";

const test = suite("the fault proxy in front of an API server", { needs: "kubernetes" });

let server: ApiServer;
let proxy: FaultProxy;
/** The cluster by way of the proxy. */
let through: Cluster;

test.before(async () => {
  server = await startApiServer({ controllers: "none" });
  proxy = await startFaultProxy(server, server.issuer);
  const { authority, token, kubeconfig } = server;
  through = clusterAt({ url: proxy.url, authority, token, kubectl: [], kubeconfig, directory: "" });
});
test.before.each(() => {
  proxy.heal();
  proxy.resetCounts();
});
test.after(async () => {
  await proxy?.close();
  await server?.stop();
});

const configMaps = "/api/v1/namespaces/default/configmaps";
const watches = { verb: "watch", resource: "configmaps" };

const status = async (method: string, place: string, body?: object) =>
  (await through.request(method, place, body)).status;
let made = 0;
const configMap = () => ({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: `object-${++made}` } });

interface Watch {
  readonly status: () => number | undefined;
  readonly events: () => { readonly type: string; readonly object: { readonly code?: number } }[];
  readonly ended: () => boolean;
  close(): void;
}

/** A watch by way of the proxy, on a connection of its own. */
function watch(): Watch {
  let text = "";
  let code: number | undefined;
  let ended = false;
  const options = {
    ca: server.authority,
    headers: { authorization: `Bearer ${server.token}` },
    agent: new https.Agent(),
  };
  const request = https.get(`${proxy.url}${configMaps}?watch=1`, options, (response) => {
    code = response.statusCode;
    response.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk;
    });
    response.on("error", () => {});
    response.on("close", () => {
      ended = true;
    });
  });
  request.on("error", () => {
    ended = true;
  });
  return {
    status: () => code,
    events: () =>
      text
        .split("\n")
        .slice(0, -1)
        .map((line) => JSON.parse(line)),
    ended: () => ended,
    close: () => request.destroy(),
  };
}

/** A watch that has received its first events. */
async function openWatch(): Promise<Watch> {
  const opened = watch();
  await server.request("POST", configMaps, configMap());
  await eventually("the watch has an event", () => opened.events().length > 0);
  return opened;
}

test("without a fault it passes everything on, and counts by verb and resource", async () => {
  const object = configMap();
  assert.is(await status("POST", configMaps, object), 201);
  assert.is(await status("GET", configMaps), 200);
  assert.is(await status("GET", `${configMaps}/${object.metadata.name}`), 200);
  assert.is(await status("DELETE", `${configMaps}/${object.metadata.name}`), 200);
  assert.is(await status("GET", "/version"), 200);
  const opened = await openWatch();
  assert.is(proxy.watches(watches), 1);
  assert.equal(proxy.counts(), {
    "create configmaps": 1,
    "list configmaps": 1,
    "get configmaps": 1,
    "delete configmaps": 1,
    "get /version": 1,
    "watch configmaps": 1,
  });
  assert.is(proxy.count({ resource: "configmaps" }), 5);
  const before = proxy.connections;
  opened.close();
  await eventually("the watch's connection is closed", () => proxy.connections === before - 1);
  assert.is(proxy.watches(), 0);
});

test("500 is answered so many times and no more, to matching requests only", async () => {
  proxy.answer({ verb: "list", resource: "configmaps" }, { status: 500, times: 2 });
  assert.is(await status("GET", "/version"), 200);
  const { status: code, body } = await through.request("GET", configMaps);
  assert.is(code, 500);
  assert.is((body as { reason: string }).reason, "InternalError");
  assert.is(await status("GET", configMaps), 500);
  assert.is(await status("GET", configMaps), 200);
});

test("410 is answered to a new watch, and ends one that is open", async () => {
  const opened = await openWatch();
  assert.is(proxy.expireWatches(watches), 1);
  await eventually("the watch ended", () => opened.ended());
  const last = opened.events().at(-1);
  assert.is(last?.type, "ERROR");
  assert.is(last?.object.code, 410);
  proxy.answer(watches, { status: 410 });
  const refused = watch();
  await eventually("the new one is refused", () => refused.ended());
  assert.is(refused.status(), 410);
});

test("429 says when to come again", async () => {
  proxy.throttle({ verb: "create" }, 3);
  const { status: code, headers } = await through.request("POST", configMaps, configMap());
  assert.is(code, 429);
  assert.is(headers["retry-after"], "3");
  proxy.heal();
  assert.is(await status("POST", configMaps, configMap()), 201);
});

test("a delayed request is passed on later than one that is not", async () => {
  const order: string[] = [];
  proxy.delay({ verb: "list", resource: "configmaps" }, 500, { times: 1 });
  const slow = status("GET", configMaps).then((code) => order.push(`slow ${code}`));
  await eventually("it has arrived", () => proxy.count({ verb: "list" }) === 1);
  order.push(`other ${await status("GET", "/version")}`);
  await slow;
  assert.equal(order, ["other 200", "slow 200"]);
});

test("dropped watches end without a word, new ones work", async () => {
  const [one, other] = [await openWatch(), await openWatch()];
  assert.is(proxy.dropWatches(watches), 2);
  await eventually("both ended", () => one.ended() && other.ended());
  assert.is(one.events().at(-1)?.type, "ADDED");
  const next = await openWatch();
  assert.is(next.ended(), false);
  next.close();
});

test("a stalled connection stays open and silent until the fault is healed", async () => {
  const opened = await openWatch();
  proxy.stall({ resource: "configmaps" });
  const seen = opened.events().length;
  const list = through.request("GET", configMaps);
  await server.request("POST", configMaps, configMap());
  await eventually("the list has arrived", () => proxy.count({ verb: "list" }) === 1);
  // A request that is not stalled makes the whole way meanwhile.
  assert.is(await status("GET", "/version"), 200);
  assert.is(opened.events().length, seen);
  assert.is(opened.ended(), false);
  proxy.heal();
  assert.is((await list).status, 200);
  await eventually("the event arrives after all", () => opened.events().length === seen + 1);
  opened.close();
});

test("a refused token is answered 401, another one is not", async () => {
  await server.request("POST", "/api/v1/namespaces/default/serviceaccounts", {
    apiVersion: "v1",
    kind: "ServiceAccount",
    metadata: { name: "rotated" },
  });
  const [old, fresh] = [
    await server.accountToken("default", "rotated"),
    await server.accountToken("default", "rotated"),
  ];
  const version = async (token: string) => (await through.request("GET", "/version", undefined, { token })).status;
  assert.is(await version(old), 200);
  proxy.refuseToken(old);
  assert.is(await version(old), 401);
  assert.is(await version(fresh), 200);
});

test("a disconnected API server resets connections, old and new", async () => {
  const opened = await openWatch();
  proxy.disconnect();
  await eventually("the watch ended", () => opened.ended());
  const failure = await through.request("GET", "/version").catch((error: Error) => error.message);
  assert.match(String(failure), /ECONNRESET|socket/);
  proxy.heal();
  assert.is(await status("GET", "/version"), 200);
});

test.run();
