import * as assert from "uvu/assert";
import { suite } from "../../support/suite.js";
import { typeNamed } from "../../support/type-named.js";
import { bodyOf, type ControlPlane, createHome, startControlPlane, startServer } from "./stage.js";

const test = suite("kumactl apply");

const redis = `type: Dataplane
mesh: default
name: redis-1
networking:
  inbound:
  - interface: 127.0.0.1:9000:6379
    tags:
      service: redis
`;

const home = createHome();
let cp: ControlPlane;

test.before.each(async () => {
  cp = await startControlPlane();
  home.pointTo(cp.url);
});
test.after.each(() => cp.close());
test.after(() => home.remove());

const silent = { code: 0, out: "", err: "" };

async function names(type: string): Promise<string[]> {
  return (await cp.store.list(typeNamed(type))).map(({ name }) => name).sort();
}

test("the documentation's Redis example is applied from standard input without output", async () => {
  assert.equal(await home.run(["apply", "-f", "-"], { stdin: redis }), silent);
  assert.equal(await home.run(["apply"], { stdin: redis }), silent);
  const listed = await home.run(["get", "dataplanes"]);
  assert.is(listed.out, "MESH      NAME      TAGS\ndefault   redis-1   service=redis\n");
});

test("a part of a resource that has no effect is a warning", async () => {
  const permission = (source: string) => `type: TrafficPermission
mesh: default
name: tp-1
rules:
- sources:
  - match: {service: web, ${source}}
  destinations:
  - match: {service: redis, version: "1"}
`;
  const { code, out, err } = await home.run(["apply"], { stdin: permission('version: "2", "x\\"y": "1"') });
  assert.equal([code, out], [0, ""]);
  assert.is(
    err,
    'Warning: TrafficPermission "tp-1": of sources only "service" is enforced, so that "version", "x"y" let every ' +
      "instance of the service pass\n",
  );
  const tried = await home.run(["apply", "--dry-run"], { stdin: permission('version: "3"') });
  assert.match(tried.err, /^Warning: .* so that "version" let/);
});

test("a Mesh that switches mTLS off by omitting it is applied with a prominent warning, also by a dry run", async () => {
  await home.run(["apply"], { stdin: "type: Mesh\nname: default\nmtls: {enabled: true}\n" });
  const stdin = "type: Mesh\nname: default\nlogging: {backends: [{name: a, file: {path: /tmp/a.log}}]}\n";
  for (const words of [["apply", "--dry-run"], ["apply"]]) {
    const { code, err } = await home.run(words, { stdin });
    assert.is(code, 0);
    assert.match(err, /^Warning: Mesh "default": mTLS is SWITCHED OFF for mesh "default", where it was on: .*\n$/);
  }
});

test("a ProxyTemplate with nothing in it, as an old kumactl sends the documented one, is a warning", async () => {
  const stdin = "type: ProxyTemplate\nmesh: default\nname: t\nselectors: [{match: {service: web}}]\n";
  const { code, err } = await home.run(["apply"], { stdin });
  assert.is(code, 0);
  assert.match(err, /^Warning: ProxyTemplate "t": it has neither imports nor resources: .*lose all listeners.*\n$/);
});

test("a file and JSON work as well", async () => {
  const file = home.file("mesh.json", '{"type":"Mesh","name":"m1"}');
  assert.equal(await home.run(["apply", "-f", file]), silent);
  assert.equal(await names("Mesh"), ["default", "m1"]);
});

test("several documents are applied in order, empty ones are skipped", async () => {
  const stdin = `---\ntype: Mesh\nname: m1\n---\n---\n${redis.replace("mesh: default", "mesh: m1")}---\n`;
  assert.equal(await home.run(["apply"], { stdin }), silent);
  assert.equal(await names("Dataplane"), ["redis-1"]);
});

test("nothing is sent unless every document can be read", async () => {
  const { code, err } = await home.run(["apply"], {
    stdin: `type: Mesh\nname: m1\n---\ntype: Mesh\nname: m2\nloging: {}\n`,
  });
  assert.is(code, 1);
  assert.is(err, 'Error: YAML contains invalid resource: document 2: loging: unknown field; did you mean "logging"?\n');
  assert.equal(await names("Mesh"), ["default"]);
});

test("an error among several documents names its document, and earlier ones stay applied", async () => {
  const { err } = await home.run(["apply"], {
    stdin: `type: Mesh\nname: m1\n---\n${redis.replace("default", "ghost")}`,
  });
  assert.is(
    err,
    `Error: Could not create a resource (Mesh is not found)
in document 2 of 2, Dataplane "redis-1"
applied: Mesh "m1"
not applied: Dataplane "redis-1"
* mesh: mesh of name ghost is not found
`,
  );
  assert.equal(await names("Mesh"), ["default", "m1"]);
});

test("an error in the middle of several files shows what was applied and what was not", async () => {
  const [first, second] = [
    home.file("first.yaml", "type: Mesh\nname: m1\n"),
    home.file("second,comma.yaml", `${redis.replace("default", "ghost")}---\ntype: Mesh\nname: m2\n`),
  ];
  const { code, out, err } = await home.run(["apply", "-f", first, "-f", second]);
  assert.equal([code, out], [1, ""]);
  assert.is(
    err,
    `Error: Could not create a resource (Mesh is not found)
in document 1 of 2 of ${second}, Dataplane "redis-1"
applied: Mesh "m1"
not applied: Dataplane "redis-1", Mesh "m2"
* mesh: mesh of name ghost is not found
`,
  );
  assert.equal(await names("Mesh"), ["default", "m1"]);
});

test("without a response it is not claimed whether the document was applied", async () => {
  let puts = 0;
  const flaky = await startServer((request, response) => {
    puts += 1;
    if (puts === 1) response.writeHead(201).end();
    else request.socket.destroy();
  });
  home.pointTo(flaky.url);
  const stdin = ["m1", "m2", "m3"].map((name) => `type: Mesh\nname: ${name}\n`).join("---\n");
  const { err } = await home.run(["apply"], { stdin });
  assert.match(
    err,
    /\nin document 2 of 3, Mesh "m2"\napplied: Mesh "m1"\napplied or not, which is not known: Mesh "m2"\nnot applied: Mesh "m3"\n$/,
  );
  await flaky.close();
});

test("all files are applied in order, with the same variables, and standard input may be one of them", async () => {
  const mesh = home.file("mesh.yaml", "type: Mesh\nname: '{{mesh}}'\n");
  const words = ["apply", "-f", mesh, "-f", "-", `--var=mesh=m1`];
  assert.equal(await home.run(words, { stdin: redis.replace("default", "'{{mesh}}'") }), silent);
  assert.equal(await names("Mesh"), ["default", "m1"]);
  assert.equal(await names("Dataplane"), ["redis-1"]);
});

test("nothing of any file is sent unless every file can be read", async () => {
  const first = home.file("first.yaml", "type: Mesh\nname: m1\n");
  const broken = home.file("broken.yaml", "type: Mesh\nname: m2\n---\ntype: Mehs\nname: m3\n");
  for (const [last, message] of [
    [broken, `YAML contains invalid resource: ${broken}: document 2: invalid type of resource type "Mehs"`],
    [home.file("empty.yaml", "# nothing\n"), "empty.yaml: the input is empty"],
    ["/missing.yaml", "error while reading provided file: ENOENT"],
  ] as const) {
    const { code, err } = await home.run(["apply", "-f", first, "-f", last]);
    assert.is(code, 1);
    assert.match(err, message);
  }
  assert.match((await home.run(["apply", "-f", "-", "-f", "-"])).err, "standard input (-f -) is given twice");
  assert.equal(await names("Mesh"), ["default"]);
});

test("a resource that appears twice is a warning, and the last one wins", async () => {
  const file = home.file("twice.yaml", `${redis}---\n${redis.replace("9000", "9001")}`);
  const { code, err } = await home.run(["apply", "-f", file]);
  assert.is(code, 0);
  assert.is(
    err,
    'Warning: Dataplane "redis-1" is in document 1 of 2 and again in document 2 of 2: the last one replaces what came before it\n',
  );
  const stored = await cp.store.get({ type: "Dataplane", mesh: "default", name: "redis-1" });
  assert.match(JSON.stringify(stored?.spec), "127.0.0.1:9001:6379");
});

test("the control plane's causes are printed one per line", async () => {
  const { code, err } = await home.run(["apply"], {
    stdin: "type: Dataplane\nmesh: default\nname: a\nnetworking: {}\n",
  });
  assert.is(code, 1);
  assert.is(
    err,
    "Error: Could not create a resource (Resource is not valid)\n* networking.inbound: has to contain at least one inbound interface\n",
  );
});

test("incomplete documents are rejected before anything is sent", async () => {
  const cases: [string, RegExp][] = [
    ["type: Dataplane\nname: a\n", /^Error: YAML contains invalid resource: Mesh field cannot be empty\n$/],
    ["type: Mesh\n", /^Error: YAML contains invalid resource: Name field cannot be empty\n$/],
    ["name: a\n", /YAML contains invalid resource: Type field cannot be empty/],
    [
      "type: Mehs\nname: a\n",
      /YAML contains invalid resource: invalid type of resource type "Mehs"; did you mean "Mesh"\?/,
    ],
    ["type: Secret\nmesh: default\nname: a\n", /invalid type of resource type "Secret"/],
    ["type: DataplaneInsight\nmesh: default\nname: a\n", /invalid type of resource type "DataplaneInsight"/],
    ["type: Mesh\nname: 8\n", /YAML contains invalid resource: .*name.*quotes/],
    ["- a\n", /YAML contains invalid resource: /],
    ["type: [\n", /^Error: YAML contains invalid resource: /],
    ["", /YAML contains invalid resource: the input is empty/],
    ["---\n---\n# nothing\n", /YAML contains invalid resource: the input is empty/],
  ];
  await cp.close();
  for (const [stdin, expected] of cases) {
    const { code, err, out } = await home.run(["apply"], { stdin });
    assert.match(err, expected);
    assert.is(code, 1);
    assert.is(out, "");
  }
});

test("several unknown fields are listed together", async () => {
  const { err } = await home.run(["apply"], { stdin: "type: Mesh\nname: a\nloging: {}\nmtls: {enabeld: true}\n" });
  assert.match(err, /^Error: YAML contains invalid resource: 2 unknown fields\n/);
  assert.match(err, /\n\* loging: unknown field; did you mean "logging"\?\n/);
  assert.match(err, /\n\* mtls\.enabeld: unknown field; did you mean "enabled"\?\n/);
});

test("variables fill the template in, unescaped, unknown ones become empty", async () => {
  const file = home.file(
    "t.yaml",
    "type: Mesh\nname: '{{name}}{{unknown}}{{constructor}}'\nlogging:\n  backends:\n  - name: '{{a.b}}'\n    file: {path: '{{{p}}}'}\n",
  );
  assert.equal(await home.run(["apply", "-f", file, "-v", "name=m2,a.b=x", "--var", "p=/a&<b>"]), silent);
  const listed = await home.run(["get", "meshes", "-o", "json"]);
  const [, mesh] = JSON.parse(listed.out).items;
  assert.equal(mesh.logging, { backends: [{ name: "x", file: { path: "/a&<b>" } }] });
});

test("an invalid template and an invalid variable are explained", async () => {
  assert.match((await home.run(["apply"], { stdin: "name: {{a" })).err, /^Error: the template can't be rendered: /);
  const { code, err } = await home.run(["apply", "-v", "name"], { stdin: redis });
  assert.is(code, 1);
  assert.match(err, /^Error: invalid argument "name" for "-v, --var" flag: must be written key=value\nUsage:\n/);
  const twice = await home.run(["apply", "-v", "name=a", "--var", "x=1,name=b"], { stdin: redis });
  assert.match(twice.err, /^Error: invalid argument "name=b" for "-v, --var" flag: "name" is given as "a" as well\n/);
  assert.equal(await names("Dataplane"), []);
});

test("a URL is downloaded, redirects included", async () => {
  const web = await startServer((request, response) => {
    if (request.url === "/moved") response.writeHead(302, { location: "/redis.yaml" }).end();
    else if (request.url === "/redis.yaml") response.end(redis);
    else if (request.url === "/loop") response.writeHead(302, { location: "/loop" }).end();
    else response.writeHead(404).end("no");
  });
  assert.equal(await home.run(["apply", "-f", `${web.url}/moved`]), silent);
  assert.equal(await names("Dataplane"), ["redis-1"]);
  assert.match(
    (await home.run(["apply", "-f", `${web.url}/x`])).err,
    /^Error: error while reading provided file: .*status 404\n$/,
  );
  assert.match((await home.run(["apply", "-f", `${web.url}/loop`])).err, /redirects more than 5 times/);
  await web.close();
});

test("a missing file is named", async () => {
  const { code, err } = await home.run(["apply", "-f", "/missing.yaml"]);
  assert.is(code, 1);
  assert.match(err, /^Error: error while reading provided file: ENOENT: .*'\/missing\.yaml'\n$/);
});

test("a dry run shows what would change and changes nothing", async () => {
  const created = await home.run(["apply", "--dry-run"], { stdin: redis });
  assert.equal(created, { ...silent, out: 'would create Dataplane "redis-1"\n' });
  assert.equal(await names("Dataplane"), []);
  await home.run(["apply"], { stdin: redis });
  assert.is((await home.run(["apply", "--dry-run"], { stdin: redis })).out, 'unchanged Dataplane "redis-1"\n');
  const edited = redis.replace("9000", "9001").replace("service: redis", "service: redis\n      version: '2'");
  assert.is(
    (await home.run(["apply", "--dry-run"], { stdin: `${edited}---\ntype: Mesh\nname: default\n` })).out,
    `would update Dataplane "redis-1"
  ~ networking.inbound[0].interface: "127.0.0.1:9000:6379" → "127.0.0.1:9001:6379"
  + networking.inbound[0].tags.version: "2"
unchanged Mesh "default"
`,
  );
  const stored = await cp.store.get({ type: "Dataplane", mesh: "default", name: "redis-1" });
  assert.is(stored?.version, 1);
});

test("a dry run's changes are coloured on a terminal only", async () => {
  await home.run(["apply"], { stdin: redis });
  const words = ["apply", "--dry-run"];
  const stdin = redis.replace("9000", "9001");
  assert.match(
    (await home.run(words, { stdin, color: true })).out,
    "\n\u001b[33m  ~ networking.inbound[0].interface: ",
  );
  assert.not.match((await home.run(words, { stdin })).out, "\u001b");
});

test("debug logs every exchange to standard error", async () => {
  const { err } = await home.run(["apply", "--log-level=debug"], { stdin: redis });
  assert.match(
    err,
    /\tDEBUG\tkumactl\.api\tanswered\t\{"method":"PUT","url":"[^"]+\/dataplanes\/redis-1","status":201,"bytes":0\}\n/,
  );
});

test("a dry run gets the control plane's own refusal", async () => {
  const { code, err } = await home.run(["apply", "--dry-run"], { stdin: "type: Dataplane\nmesh: default\nname: a\n" });
  assert.is(code, 1);
  assert.match(err, /^Error: Could not create a resource \(Resource is not valid\)\n\* networking\.inbound: /);
});

test("a control plane without dry runs never gets the resource", async () => {
  const bodies: string[] = [];
  const older = await startServer(async (request, response) => {
    if (request.method === "GET") return void response.writeHead(404).end();
    bodies.push(await bodyOf(request));
    response.writeHead(400).end('{"title":"Could not process a resource","details":"Resource is not valid"}');
  });
  home.pointTo(older.url);
  const { code, err } = await home.run(["apply", "--dry-run"], { stdin: redis });
  assert.is(code, 1);
  assert.is(err, "Error: this Control Plane does not support dry runs; nothing was changed\n");
  assert.equal(bodies, ["{}"]);
  await older.close();
});

test("a read-only control plane's answer is passed on", async () => {
  const reader = await startControlPlane({ readOnly: true });
  home.pointTo(reader.url);
  const { code, err } = await home.run(["apply"], { stdin: redis });
  assert.is(code, 1);
  assert.match(err, /^Error: Method not allowed \(PUT is not supported here/);
  await reader.close();
});

test("an answer of another server is shown with its status", async () => {
  const stranger = await startServer((_, response) => response.writeHead(405).end("405 Method Not Allowed\n"));
  home.pointTo(stranger.url);
  assert.is((await home.run(["apply"], { stdin: redis })).err, "Error: (405): 405 Method Not Allowed\n");
  await stranger.close();
});

test.run();
