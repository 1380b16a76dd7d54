import * as assert from "uvu/assert";
import { type Call, type Endpoint, type EndpointLayer, serveEndpoints } from "../../../src/net/endpoints.js";
import type { HttpReply } from "../../../src/net/exchange.js";
import { suite } from "../../support/suite.js";

const test = suite("the endpoints of an HTTP server");

/** Responds with its pattern and its parameters. */
const echo = (method: string, path: string, more: Partial<Endpoint> = {}): Endpoint => ({
  methods: [method],
  path,
  title: "Could not echo",
  access: "read",
  handle: ({ parameters }: Call) => ({ status: 200, body: JSON.stringify([path, parameters]) }),
  ...more,
});

const endpoints = [
  echo("GET", "/"),
  echo("GET", "/meshes"),
  echo("GET", "/meshes/{name}"),
  echo("PUT", "/meshes/{name}"),
  echo("GET", "/meshes/{mesh}/things", { aliases: ["/meshes/{mesh}/items"] }),
  echo("GET", "/meshes/{mesh}/things/{name}", { methods: ["GET", "HEAD"] }),
  echo("POST", "/meshes/{mesh}/things/{name}/turn"),
  echo("POST", "/closed", { methods: [] }),
  echo("GET", "/__proto__/constructor"),
];

async function ask(method: string, path: string, layers: readonly EndpointLayer[] = []): Promise<HttpReply> {
  const handle = serveEndpoints({ endpoints, layers, suggests: true });
  return await handle({ method, path, query: "", headers: {}, body: Buffer.alloc(0), peer: "127.0.0.1" });
}

async function led(path: string, method = "GET"): Promise<unknown> {
  const { status, body } = await ask(method, path);
  return status === 200 ? JSON.parse(String(body)) : status;
}

test("are found by their paths, with the parameters decoded", async () => {
  assert.equal(await led("/"), ["/", {}]);
  assert.equal(await led("/meshes/"), ["/meshes", {}]);
  assert.equal(await led("/meshes/m"), ["/meshes/{name}", { name: "m" }]);
  assert.equal(await led("/meshes/m/things/t/"), ["/meshes/{mesh}/things/{name}", { mesh: "m", name: "t" }]);
  assert.equal(await led("/meshes/m/items"), ["/meshes/{mesh}/things", { mesh: "m" }]);
  assert.equal(await led("/m%65shes/a%2Fb%20%C3%A4/%74hings"), ["/meshes/{mesh}/things", { mesh: "a/b ä" }]);
});

test("accept any name as a parameter, including those of an object's prototype and of other endpoints", async () => {
  for (const name of ["__proto__", "constructor", "toString", "hasOwnProperty", "things", "meshes", ".", "..", "{x}"]) {
    const found = (await led(`/meshes/${name}/things/${name}`)) as [string, Record<string, unknown>];
    assert.equal(found, ["/meshes/{mesh}/things/{name}", { mesh: name, name }]);
  }
  assert.equal(await led("/__proto__/constructor"), ["/__proto__/constructor", {}]);
  for (const path of ["/constructor", "/toString", "/__proto__", "/meshes/m/constructor", "/meshes/m/__proto__"]) {
    assert.is(await led(path), 404, path);
  }
  for (const method of ["constructor", "__proto__", "toString", "get"]) {
    assert.is(await led("/meshes", method), 405, method);
  }
});

test("are not found by empty segments, bad encoding or an invalid path", async () => {
  const paths = ["", "*", "meshes", "http://host/meshes", "//", "//meshes", "/meshes//", "/meshes//things", "/%zz"];
  for (const path of [...paths, "/meshes/%", "/meshes/%ff", "/meshes/%E0%A4", "/meshes?", "/Meshes", "/meshes/m/x"]) {
    assert.is(await led(path), 404, path);
  }
});

test("reject a path with thousands of segments like any other", async () => {
  for (const segment of ["/meshes", "/a", "/%61", "/%", "/"]) assert.is(await led(segment.repeat(8_000)), 404);
  assert.equal(await led(`/meshes/${"x".repeat(16_000)}`), ["/meshes/{name}", { name: "x".repeat(16_000) }]);
});

test("answer HEAD like GET, and list their methods if another one is used", async () => {
  assert.equal(await led("/meshes/m", "HEAD"), ["/meshes/{name}", { name: "m" }]);
  const allowed = async (path: string, method = "OPTIONS") => {
    const { status, headers } = await ask(method, path);
    return [status, headers?.Allow];
  };
  assert.equal(await allowed("/meshes/m"), [405, "GET, PUT"]);
  assert.equal(await allowed("/meshes/m/items/"), [405, "GET"]);
  assert.equal(await allowed("/meshes/m/things/t"), [405, "GET, HEAD"]);
  assert.equal(await allowed("/meshes/m/things/t/turn", "HEAD"), [405, "POST"]);
  assert.equal(await allowed("/closed", "POST"), [405, ""]);
});

test("are suggested for similar paths, never by an alias", async () => {
  const suggested = async (path: string) => /did you mean \\"(.*)\\"/.exec(String((await ask("GET", path)).body))?.[1];
  assert.is(await suggested("/mesh"), "/meshes");
  assert.is(await suggested("/mehses/m/tings/t"), "/meshes/m/things/t");
  assert.is(await suggested("/meshes/a%2Fb/thing"), "/meshes/a%2Fb/things");
  assert.is(await suggested("/meshes/m/items/x"), undefined);
  assert.is(await suggested("/meshes/m/itemz"), undefined);
  assert.is(await suggested("/meshes/m/things/t/trun"), "/meshes/m/things/t/turn");
  assert.is(await suggested("/meshes/m/things/t/turn/x/y"), "/meshes/m/things/t/turn");
  assert.is(await suggested("/__proto_"), undefined, "nothing is there");
  for (const path of [
    "/elsewhere",
    "/meshes/m/else",
    "/meshes//things",
    "/mesh/%",
    `/${"mesh".repeat(4_000)}`,
    "mesh",
  ]) {
    assert.is(await suggested(path), undefined, path.slice(0, 20));
  }
});

test("are wrapped by their layers in order, also if the response is 404 or 405", async () => {
  const seen: string[] = [];
  const layer =
    (name: string): EndpointLayer =>
    (handler) =>
    (call) => {
      seen.push(`${name} ${call.endpoint?.path} ${call.parameters.mesh}`);
      return name === "b" && call.request.method === "POST" ? { status: 403 } : handler(call);
    };
  const statuses: number[] = [];
  for (const [method, path] of [
    ["GET", "/meshes/m/things"],
    ["PUT", "/meshes/m/things"],
    ["GET", "/nowhere"],
    ["POST", "/meshes/m/things/t/turn"],
  ] as const) {
    statuses.push((await ask(method, path, [layer("a"), layer("b")])).status);
  }
  assert.equal(statuses, [200, 405, 404, 403]);
  assert.equal(seen, [
    "a /meshes/{mesh}/things m",
    "b /meshes/{mesh}/things m",
    ...["a undefined undefined", "b undefined undefined", "a undefined undefined", "b undefined undefined"],
    "a /meshes/{mesh}/things/{name}/turn m",
    "b /meshes/{mesh}/things/{name}/turn m",
  ]);
});

test("that are ambiguous are detected when the server starts", () => {
  const pairs = [
    [echo("GET", "/a"), echo("GET", "/a")],
    [echo("GET", "/a"), echo("GET", "/b", { aliases: ["/a"] })],
    [echo("GET", "/a/{name}"), echo("GET", "/a/{mesh}")],
    [echo("GET", "/a/{name}"), echo("GET", "/a/b")],
    [echo("GET", "/a/b"), echo("PUT", "/a/{name}/c")],
  ];
  for (const pair of pairs) {
    assert.throws(() => serveEndpoints({ endpoints: pair, layers: [] }), /two endpoints|ambiguous/);
  }
  for (const path of ["", "a", "/a/", "//", "/{}", "/{A", "/a{b}", "/%61", "/{__proto__}", "/a b"]) {
    assert.throws(() => serveEndpoints({ endpoints: [echo("GET", path)], layers: [] }), /no pattern/, path);
  }
});

test.run();
