import net from "node:net";
import * as assert from "uvu/assert";
import { inspectTable } from "../../../src/ctl/commands/inspect-dataplanes.js";
import { renderTable } from "../../../src/ctl/table.js";
import { createRegistry, registry } from "../../../src/resources/registry.js";
import { resourceType } from "../../../src/resources/resource.js";
import { text } from "../../../src/resources/scalars.js";
import { object } from "../../../src/resources/schema.js";
import { suite } from "../../support/suite.js";
import { type ControlPlane, createHome, golden, startControlPlane, startServer } from "./stage.js";

const test = suite("kumactl get, inspect and delete");

const home = createHome();
let cp: ControlPlane;

function inbound(service: string, more: Record<string, string> = {}) {
  return { interface: "127.0.0.1:9000:6379", tags: { service, ...more } };
}

test.before(async () => {
  cp = await startControlPlane();
  home.pointTo(cp.url);
  await cp.store.create({
    type: "Mesh",
    mesh: "secure",
    name: "secure",
    spec: { mtls: { enabled: true, ca: { builtin: {} } } },
  });
  await cp.store.create({
    type: "Dataplane",
    mesh: "default",
    name: "web-1",
    spec: { networking: { inbound: [inbound("web", { version: "v1" }), inbound("metrics")] } },
  });
  await cp.store.create({
    type: "Dataplane",
    mesh: "default",
    name: "redis-1",
    spec: { networking: { inbound: [inbound("redis")] } },
  });
  const mesh = "default";
  for (const { name: type, scope, access, cli } of registry.types) {
    if (scope === "mesh" && access === "full" && cli && type !== "Dataplane") {
      await cp.store.create({ type, mesh, name: `${cli.singular}-1`, spec: {} });
      await cp.store.create({ type, mesh, name: "everything", spec: {} });
    }
  }
});
test.after(async () => {
  home.remove();
  await cp.close();
});

const kinds = registry.types.flatMap(({ cli }) => (cli ? [cli.plural] : []));

for (const kind of kinds) {
  test(`get ${kind} prints its table, YAML and JSON`, async () => {
    for (const format of ["table", "yaml", "json"]) {
      const { code, out, err } = await home.run(["get", kind, "-o", format]);
      assert.equal({ code, err }, { code: 0, err: "" });
      const { actual, expected } = golden(`get-${kind}.${format === "table" ? "txt" : format}`, out);
      assert.is(actual, expected);
    }
  });
}

test("json is the API's own list", async () => {
  const { out } = await home.run(["get", "dataplanes", "-o", "json"]);
  const answer = await fetch(`${cp.url}/meshes/default/dataplanes`);
  assert.equal(JSON.parse(out), await answer.json());
});

test("an empty list still has its header", async () => {
  assert.is((await home.run(["get", "dataplanes", "--mesh", "secure"])).out, "MESH   NAME   TAGS\n");
  assert.is((await home.run(["get", "dataplanes", "--mesh", "secure", "-o", "yaml"])).out, "items: []\n");
});

test("other spellings of a kind are accepted, and typos get a suggestion", async () => {
  for (const alias of ["trafficlogs", "trafficpermissions", "trafficroutes", "health-checks"]) {
    assert.is((await home.run(["get", alias])).code, 0, alias);
  }
  const { code, err } = await home.run(["get", "dataplans"]);
  assert.is(code, 1);
  assert.match(err, /^Error: unknown command "dataplans" for "kumactl get"\n\nDid you mean this\?\n\tdataplanes\n/);
});

test("one resource by its name, which apply takes as it is printed", async () => {
  const one = await home.run(["get", "mesh", "default", "-o", "yaml"]);
  assert.equal([one.code, one.err], [0, ""]);
  assert.match(one.out, /^type: Mesh\nname: default\n/);
  const applied = await home.run(["apply", "--dry-run"], { stdin: one.out });
  assert.is(applied.out, 'unchanged Mesh "default"\n');
  assert.match((await home.run(["get", "meshes", "default"])).out, /^NAME +mTLS\ndefault +o(n|ff)\n$/);
  const format = "{{name}} {{";
  await cp.store.create({
    type: "Mesh",
    mesh: "braces",
    name: "braces",
    spec: { mtls: { ca: { builtin: {} } }, logging: { backends: [{ name: "b", format, file: { path: "/tmp/b" } }] } },
  });
  const braces = await home.run(["get", "mesh", "braces", "-o", "yaml"]);
  assert.is((await home.run(["apply", "--dry-run"], { stdin: braces.out })).out, 'unchanged Mesh "braces"\n');
  await cp.store.delete({ type: "Mesh", mesh: "braces", name: "braces" });
  const missing = await home.run(["get", "dataplane", "ghost", "--mesh", "m"]);
  assert.equal([missing.code, missing.err], [1, 'Error: there is no Dataplane "ghost" in mesh "m"\n']);
  assert.match((await home.run(["get", "mesh", "a", "b"])).err, /^Error: accepts 0 to 1 arg\(s\), received 2\n/);
});

test("an unknown output format is refused", async () => {
  const { code, err } = await home.run(["get", "meshes", "-o", "jsn"]);
  assert.is(code, 1);
  assert.is(err, 'Error: unknown output format "jsn"; did you mean "json"?\n');
});

test("an unreachable control plane is named, with what was attempted", async () => {
  const gone = await startServer(() => undefined);
  await gone.close();
  const other = createHome();
  other.pointTo(gone.url);
  const { code, err } = await other.run(["get", "meshes"]);
  assert.is(code, 1);
  assert.match(
    err,
    `Error: failed to list Meshes: could not reach the Control Plane at ${gone.url}: connect ECONNREFUSED`,
  );
  other.remove();
});

test("responses that are not a list are rejected", async () => {
  for (const body of ["<html>", "{}", '{"items":5}', '{"items":["x"]}']) {
    const stranger = await startServer((_, response) => response.end(body));
    const other = createHome();
    other.pointTo(stranger.url);
    const { code, err } = await other.run(["get", "meshes"]);
    assert.is(code, 1);
    assert.match(err, /^Error: /);
    assert.not.match(err, "bug");
    other.remove();
    await stranger.close();
  }
});

test("an address with a path stays below it", async () => {
  const paths: string[] = [];
  const proxy = await startServer((request, response) => {
    paths.push(request.url ?? "");
    response.end('{"items":[]}');
  });
  const other = createHome();
  other.pointTo(`${proxy.url}/kuma`);
  await other.run(["get", "meshes"]);
  assert.equal(paths, ["/kuma/meshes", "/kuma/certificate-authorities"]);
  other.remove();
  await proxy.close();
});

const now = new Date(Date.parse("2019-07-17T16:05:36.995Z") + (2 * 3600 + 3 * 60 + 4) * 1000);
const dataplane = {
  networking: { inbound: [inbound("mobile", { version: "v1" }), inbound("metrics", { version: "v1" })] },
};
const overviews = [
  {
    type: "DataplaneOverview",
    mesh: "default",
    name: "experiment",
    dataplane,
    dataplaneInsight: {
      subscriptions: [
        {
          id: "1",
          connectTime: "2018-07-17T16:05:36.995Z",
          status: { total: { responsesSent: "10", responsesRejected: "1" } },
        },
        {
          id: "2",
          connectTime: "2019-07-17T16:05:36.995Z",
          status: { total: { responsesSent: "20", responsesRejected: "2" } },
        },
      ],
    },
  },
  { type: "DataplaneOverview", mesh: "default", name: "never-connected", dataplane },
  {
    type: "DataplaneOverview",
    mesh: "default",
    name: "gone",
    dataplane,
    dataplaneInsight: {
      subscriptions: [
        {
          id: "1",
          connectTime: "2019-07-17T16:05:36.995Z",
          disconnectTime: "2019-07-17T17:05:36.995Z",
          status: { lastUpdateTime: "2019-07-17T16:06:36.995Z", total: { responsesSent: "9007199254740993" } },
        },
      ],
    },
  },
];

test("the inspect table sums up all streams of a proxy", () => {
  const { actual, expected } = golden("inspect-dataplanes.txt", inspectTable(overviews, now, false));
  assert.is(actual, expected);
  assert.match(actual, /experiment .* Online {4}2h3m4s .* never .* 30 .* 3\n/);
});

test("colours mark the status without moving a column", () => {
  const colored = inspectTable(overviews, now, true);
  assert.match(colored, "\u001b[32mOnline\u001b[39m");
  assert.match(colored, "\u001b[31mOffline\u001b[39m");
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the escape sequences of colours are what is taken out
  assert.is(colored.replace(/\u001b\[\d+m/g, ""), inspectTable(overviews, now, false));
});

test("inspect dataplanes shows what the control plane has", async () => {
  const { out } = await home.run(["inspect", "dataplanes", "--tag", "service=redis"]);
  const lines = out.split("\n");
  assert.is(lines.length, 3);
  assert.match(lines[1] ?? "", /^default +redis-1 +service=redis +Offline +never +never +0 +0$/);
  const json = await home.run(["inspect", "dataplanes", "--tag=service=web,version=v1", "-o", "json"]);
  assert.equal(
    JSON.parse(json.out).items.map(({ name }: { name: string }) => name),
    ["web-1"],
  );
  assert.match(
    (await home.run(["inspect", "dataplanes", "--tag", "web"])).err,
    /^Error: invalid argument "web" for "--tag"/,
  );
  assert.match(
    (await home.run(["inspect", "dataplanes", "--tag", "service=web", "--tag", "service=redis"])).err,
    /^Error: invalid argument "service=redis" for "--tag" flag: "service" is given as "web" as well/,
  );
});

test("delete prints what it deleted, or that it does not exist", async () => {
  await cp.store.create({ type: "TrafficLog", mesh: "default", name: "all", spec: {} });
  assert.equal(await home.run(["delete", "traffic-log", "all"]), {
    code: 0,
    out: 'deleted TrafficLog "all"\n',
    err: "",
  });
  const again = await home.run(["delete", "trafficlogs", "all"]);
  assert.equal(again, { code: 1, out: "", err: 'Error: there is no TrafficLog with name "all"\n' });
  assert.is((await home.run(["delete", "mesh", "nope"])).err, 'Error: there is no Mesh with name "nope"\n');
  assert.is((await home.run(["delete", "mesh", ".."])).err, 'Error: ".." is not a valid name\n');
});

test("delete takes the mesh from --mesh, but not for a mesh", async () => {
  await cp.store.create({ type: "Dataplane", mesh: "secure", name: "d", spec: {} });
  assert.is((await home.run(["delete", "dataplane", "d"])).code, 1);
  assert.is((await home.run(["delete", "dataplane", "d", "--mesh", "secure"])).out, 'deleted Dataplane "d"\n');
});

test("delete explains itself", async () => {
  const foo = await home.run(["delete", "foo", "bar"]);
  assert.is(
    foo.err,
    "Error: unknown TYPE: foo. Allowed values: mesh, dataplane, proxytemplate, traffic-permission, traffic-log, traffic-route, healthcheck\n",
  );
  assert.match((await home.run(["delete", "dataplan", "x"])).err, /Did you mean dataplane\?/);
  const short = await home.run(["delete", "mesh"]);
  assert.is(short.code, 1);
  assert.match(short.err, /^Error: accepts 2 arg\(s\), received 1\nUsage:\n/);
});

test("a made-up type has everything without a line of its own", async () => {
  const schema = object({ color: text() });
  const gadget = resourceType({
    name: "Gadget",
    path: "gadgets",
    schema,
    cli: { singular: "gadget", plural: "gadgets", aliases: ["gizmos"] },
    columns: [
      { title: "NAME", cell: ({ name }) => name },
      { title: "COLOR", cell: ({ spec }) => spec.color ?? "none" },
    ],
  });
  const wider = createRegistry([...registry.types, gadget]);
  const plane = await startControlPlane({ registry: wider });
  const other = createHome();
  other.pointTo(plane.url);
  const run = (words: string[], stdin = "") => other.run(words, { registry: wider, stdin });
  assert.is((await run(["apply"], "type: Gadget\nmesh: default\nname: g\ncolor: red\n")).code, 0);
  assert.is((await run(["get", "gizmos"])).out, "NAME   COLOR\ng      red\n");
  assert.match(
    (await run(["apply"], "type: Gadget\nmesh: default\nname: g\ncolr: red\n")).err,
    'did you mean "color"?',
  );
  assert.match((await run(["__complete", "--", "get", "ga"])).out, "gadgets\tShow Gadgets");
  assert.is((await run(["delete", "gadget", "g"])).out, 'deleted Gadget "g"\n');
  other.remove();
  await plane.close();
});

test("columns are as wide as their widest cell plus three, the last one as it is", () => {
  assert.is(
    renderTable(
      ["A", "LONGER", "C"],
      [
        ["wide cell", "é", "x"],
        ["", "b", ""],
      ],
    ),
    "A           LONGER   C\nwide cell   é        x\n            b        \n",
  );
  assert.is(renderTable(["A", "B"], []), "A   B\n");
});

for (const words of [
  ["get", "dataplanes"],
  ["get", "traffic-permissions", "-o", "json"],
  ["inspect", "dataplanes"],
  ["inspect", "dataplane", "web-1", "--policies"],
  ["explain", "traffic", "--from", "a", "--to", "b"],
  ["generate", "dataplane-token", "--name", "web-1"],
]) {
  test(`${words.slice(0, 2).join(" ")} of a mesh that doesn't exist is an error that names the nearest one`, async () => {
    const { code, out, err } = await home.run([...words, "--mesh", "defualt"]);
    assert.equal([code, out], [1, ""]);
    assert.is(err, 'Error: there is no mesh "defualt"; did you mean "default"?\n');
  });
}

test("a mesh that exists and has nothing in it is an empty table", async () => {
  const { code, err } = await home.run(["get", "dataplanes", "--mesh", "secure"]);
  assert.equal([code, err], [0, ""]);
});

const strangers: readonly (readonly [what: string, status: number, type: string, body: string, said: RegExp])[] = [
  [
    "a web site",
    200,
    "text/html",
    "<!doctype html><title>Welcome\nto nginx</title><p>x",
    /it sent an HTML page, "Welcome to nginx" with status 200/,
  ],
  ["an error page", 404, "text/html", "<html>not here</html>", /it sent an HTML page with status 404/],
  ["another API", 404, "application/json", '{"message": "no route"}', /it sent JSON of another server with status 404/],
  [
    "another API that has it",
    200,
    "application/json",
    '{"data": []}',
    /it sent JSON of another server with status 200/,
  ],
  ["metrics", 200, "text/plain", "# HELP a\na 1\n", /it sent something else \(text\/plain\) with status 200/],
  ["nothing", 200, "text/plain", "", /it sent no text with status 200/],
];

for (const [what, status, type, body, said] of strangers) {
  test(`${what} in the place of a control plane is described, not printed`, async () => {
    const stranger = await startServer((_request, response) => {
      response.writeHead(status, { "content-type": type }).end(body);
    });
    const elsewhere = createHome();
    elsewhere.pointTo(stranger.url);
    try {
      const { code, out, err } = await elsewhere.run(["get", "dataplanes"]);
      assert.equal([code, out], [1, ""]);
      assert.match(err, `${stranger.url} responds, but is not a control plane: `);
      assert.match(err, said);
      assert.is(err.trimEnd().split("\n").length, 1);
    } finally {
      elsewhere.remove();
      await stranger.close();
    }
  });
}

/** The error message for a server that sends these bytes in response to anything, by the scheme of its address. */
async function saidOf(scheme: string, bytes: Buffer): Promise<string> {
  const server = net.createServer((socket) => {
    socket.on("error", () => {});
    socket.once("data", () => socket.end(bytes));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const elsewhere = createHome();
  elsewhere.pointTo(`${scheme}://127.0.0.1:${(server.address() as net.AddressInfo).port}`);
  try {
    return (await elsewhere.run(["get", "meshes"])).err;
  } finally {
    elsewhere.remove();
    server.close();
  }
}

test("a server with another protocol is reported as not being a control plane", async () => {
  const alert = Buffer.from([0x15, 3, 3, 0, 2, 2, 50]);
  const text = Buffer.from("SSH-2.0-OpenSSH_9.2\r\n");
  assert.match(await saidOf("http", text), /responds, but is not a control plane: it doesn't speak HTTP/);
  assert.match(
    await saidOf("http", alert),
    /responds, but is not a control plane: it speaks TLS, so that its address begins/,
  );
  assert.match(
    await saidOf("https", Buffer.from("HTTP/1.1 400 Bad Request\r\n\r\n")),
    /it doesn't speak TLS; is it http:/,
  );
});

test.run();
