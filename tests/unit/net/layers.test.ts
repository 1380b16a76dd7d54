import type { IncomingHttpHeaders } from "node:http";
import * as assert from "uvu/assert";
import { loopback } from "../../../src/lib/addresses.js";
import { createSiteGuard, knownHostsOnly } from "../../../src/net/cross-site.js";
import { type HttpHandler, type HttpReply, type HttpRequest, type Layer, layered } from "../../../src/net/exchange.js";
import { localChangesOnly } from "../../../src/net/local-changes.js";
import { suite } from "../../support/suite.js";

const test = suite("layers around the endpoints of an HTTP server");

const ask = async (layers: readonly Layer[], request: Partial<HttpRequest>): Promise<HttpReply> =>
  await layered(layers, () => ({ status: 200 }))({
    method: "GET",
    path: "/",
    query: "",
    headers: {},
    body: Buffer.alloc(0),
    peer: "127.0.0.1",
    ...request,
  });

test("the first layer is the outermost", async () => {
  const order: string[] = [];
  const layer =
    (name: string): Layer =>
    (handler) =>
    (request) => {
      order.push(name);
      return handler(request);
    };
  await ask([layer("a"), layer("b")], {});
  assert.equal(order, ["a", "b"]);
});

const hosts = [knownHostsOnly(createSiteGuard({ allowed: () => false, advertisedHostname: "CP.example" }))];
const read = async (host: string | undefined, headers: IncomingHttpHeaders) =>
  (await ask(hosts, { headers: { ...(host === undefined ? {} : { host }), ...headers } })).status;

test("a page that rebinds its name to our address reads nothing, whatever its browser sends", async () => {
  const browsers: IncomingHttpHeaders[] = [
    { "user-agent": "Mozilla/5.0 (X11; Linux x86_64)" },
    { "user-agent": "curl/8.0", "accept-language": "en" },
    { "accept-language": "" },
    { referer: "http://evil.example/" },
    { cookie: "a=b" },
    { origin: "http://evil.example" },
    { "sec-fetch-site": "same-origin" },
  ];
  for (const headers of browsers) {
    for (const host of ["evil.example", "evil.example:5681", "cp.example.evil", "localhost.evil", "", undefined]) {
      assert.is(await read(host, headers), 403, `${host} ${JSON.stringify(headers)}`);
    }
    for (const host of ["localhost", "LocalHost:5681", "127.0.0.1:5681", "[::1]:5681", "192.0.2.1", "cp.example:1"]) {
      assert.is(await read(host, headers), 200, `${host} ${JSON.stringify(headers)}`);
    }
  }
  const refused = await ask(hosts, { headers: { host: "evil.example", "user-agent": "Mozilla/5.0" } });
  assert.match(String(refused.body), /evil\.example.*KUMA_GENERAL_ADVERTISED_HOSTNAME/);
});

test("kumactl, curl and Prometheus may use any name of ours", async () => {
  for (const agent of [undefined, "curl/8.0", "Prometheus/2.0", "Go-http-client/1.1"]) {
    const headers = { accept: "*/*", "accept-encoding": "gzip", ...(agent && { "user-agent": agent }) };
    assert.is(await read("cp.internal:5681", headers), 200);
  }
});

/** Any path: only the method decides whether it is a change. */
const local = [
  (handler: HttpHandler): HttpHandler => {
    const layer = localChangesOnly({ remedy: "Do this" })(({ request }) => handler(request));
    return (request) => layer({ request, parameters: {}, endpoint: undefined });
  },
];
const write = async (peer: string, headers: IncomingHttpHeaders = {}, method = "PUT") =>
  (await ask(local, { method, peer, headers })).status;

test("changes are accepted from loopback, in each form of its addresses, and from nowhere else", async () => {
  for (const peer of ["127.0.0.1", "127.9.8.7", "::1", "::ffff:127.0.0.1", "::ffff:7f00:1"]) {
    assert.is(await write(peer), 200, peer);
    assert.ok(loopback.has(peer));
  }
  for (const peer of [
    "192.0.2.1",
    "10.0.0.1",
    "128.0.0.1",
    "::ffff:10.0.0.1",
    "fe80::1%lo",
    "::",
    "0.0.0.0",
    "",
    "localhost",
  ]) {
    for (const method of ["PUT", "POST", "DELETE", "PATCH", "MADE-UP"]) {
      assert.is(await write(peer, {}, method), 403, `${method} ${peer}`);
    }
    for (const method of ["GET", "HEAD", "OPTIONS"]) assert.is(await write(peer, {}, method), 200);
  }
  const refused = await ask(local, { method: "DELETE", peer: "192.0.2.7" });
  assert.match(String(refused.body), /own machine; this request came from 192\.0\.2\.7\. Do this/);
});

test("a proxy on this machine is not its administrator", async () => {
  for (const name of ["forwarded", "via", "x-real-ip", "x-forwarded-for", "x-forwarded-host", "x-forwarded-made-up"]) {
    assert.is(await write("127.0.0.1", { [name]: "" }), 403, name);
    assert.is(await write("127.0.0.1", { [name]: "192.0.2.1" }, "GET"), 200);
  }
  const refused = await ask(local, { method: "PUT", headers: { "x-forwarded-for": "a" } });
  assert.match(String(refused.body), /through a proxy \(it has the header x-forwarded-for\)/);
});

test.run();
