import fs from "node:fs";
import path from "node:path";
import * as assert from "uvu/assert";
import { suite } from "../../support/suite.js";
import { createHome, startControlPlane, startServer } from "./stage.js";

const test = suite("kumactl config");

const firstFile = `contexts:
- controlPlane: local
  name: local
controlPlanes:
- coordinates:
    apiServer:
      url: http://localhost:5681
  name: local
currentContext: local
`;

let home = createHome();
test.before.each(() => {
  home = createHome();
});
test.after.each(() => home.remove());

const planes = ["config", "control-planes"];

test("the first use writes the default configuration, readable by its owner alone", async () => {
  const { out } = await home.run([...planes, "list"]);
  assert.is(out, "ACTIVE   NAME    ADDRESS\n*        local   http://localhost:5681\n");
  assert.is(fs.readFileSync(home.config, "utf8"), firstFile);
  assert.is(fs.statSync(home.config).mode & 0o777, 0o600);
  assert.is((await home.run(["config", "view"])).out, `${firstFile}\n`);
});

test("the default configuration works where it can't be written, and a change says why it can't be saved", async () => {
  fs.symlinkSync(path.join(home.path, "a place that is gone", "a"), path.join(home.path, ".kumactl"));
  const listed = await home.run([...planes, "list"]);
  assert.equal(listed, { code: 0, out: "ACTIVE   NAME    ADDRESS\n*        local   http://localhost:5681\n", err: "" });
  const removed = await home.run([...planes, "remove", "--name=local"]);
  assert.is(removed.code, 1);
  assert.match(removed.err, `Error: Failed to write configuration file "${home.config}": `);
});

test("a configuration file that was named has to exist", async () => {
  const missing = path.join(home.path, "missing");
  const { code, err } = await home.run(["--config-file", missing, ...planes, "list"]);
  assert.is(code, 1);
  assert.is(err, `Error: Failed to access configuration file "${missing}": it does not exist\n`);
  assert.not.ok(fs.existsSync(missing));
});

test("version and help neither need nor write a configuration", async () => {
  await home.run(["version"]);
  await home.run(["get", "meshes", "-h"]);
  assert.not.ok(fs.existsSync(home.config));
});

test("add, list, switch and remove", async () => {
  const cp = await startControlPlane();
  const file = home.file("config", "");
  const run = (...words: string[]) => home.run(["--config-file", file, ...planes, ...words]);
  assert.is((await run("list")).out, "ACTIVE   NAME   ADDRESS\n");
  const added = await run("add", "--name", "cp", "--address", cp.url);
  assert.equal(added, { code: 0, out: 'added Control Plane "cp"\nswitched active Control Plane to "cp"\n', err: "" });
  await run("add", "--name", "other", "--address", `${cp.url}/`);
  assert.is(
    (await run("list")).out,
    `ACTIVE   NAME    ADDRESS\n         cp      ${cp.url}\n*        other   ${cp.url}/\n`,
  );
  assert.is((await run("switch", "--name", "cp")).out, 'switched active Control Plane to "cp"\n');
  assert.is((await home.run(["--config-file", file, "get", "meshes"])).out, "NAME      mTLS\ndefault   off\n");
  assert.is(
    (await run("remove", "--name", "cp")).out,
    'removed Control Plane "cp"\nswitched active Control Plane to "other"\n',
  );
  const last = await run("remove", "--name", "other");
  assert.is(
    last.out,
    'removed Control Plane "other"\nthere is no active Control Plane left. Use `kumactl config control-planes add` to add a Control Plane and make it active\n',
  );
  const none = await home.run(["--config-file", file, "get", "meshes"]);
  assert.match(none.err, /^Error: active Control Plane is not set\. Use `kumactl config control-planes add`/);
  for (const verb of ["switch", "remove"]) {
    assert.is((await run(verb, "--name", "cp")).err, 'Error: there is no Control Plane with name "cp"\n');
  }
  await cp.close();
});

test("removing a control plane that is not active leaves the active one", async () => {
  const cp = await startControlPlane();
  await home.run([...planes, "add", "--name", "cp", "--address", cp.url]);
  assert.is((await home.run([...planes, "remove", "--name", "local"])).out, 'removed Control Plane "local"\n');
  assert.match((await home.run([...planes, "list"])).out, /\n\* +cp /);
  await cp.close();
});

test("a name is taken once, unless it is overwritten", async () => {
  const cp = await startControlPlane();
  const add = [...planes, "add", "--name", "cp", "--address", cp.url];
  await home.run(add);
  const before = fs.readFileSync(home.config, "utf8");
  const { code, err } = await home.run(add);
  assert.is(code, 1);
  assert.is(err, 'Error: Control Plane with name "cp" already exists. Use --overwrite to replace an existing one.\n');
  assert.is(fs.readFileSync(home.config, "utf8"), before);
  assert.is((await home.run([...add, "--overwrite"])).code, 0);
  assert.is(fs.readFileSync(home.config, "utf8"), before);
  await cp.close();
});

test("only a control plane is added; otherwise the file stays as it is", async () => {
  await home.run([...planes, "list"]);
  const broken = await startServer((_, response) => response.writeHead(500).end());
  const html = await startServer((_, response) => response.end("<html>"));
  const other = await startServer((_, response) => response.end('{"tagline":"You Know, for Search"}'));
  const gone = await startServer(() => undefined);
  await gone.close();
  const cases: [string, RegExp][] = [
    [broken.url, /^Error: Control Plane API Server is not responding: status 500\n$/],
    [html.url, /^Error: provided address is not a valid Kuma Control Plane API Server\n$/],
    [other.url, /^Error: provided address is not a valid Kuma Control Plane API Server\n$/],
    [gone.url, /^Error: could not connect to the Control Plane API Server: connect ECONNREFUSED/],
    ["localhost:5681", /^Error: "localhost:5681" is not a URL such as http:\/\/localhost:5681\n$/],
    ["", /^Error: "" is not a URL/],
  ];
  for (const [address, expected] of cases) {
    const { code, err, out } = await home.run([...planes, "add", "--name", "x", `--address=${address}`]);
    assert.match(err, expected);
    assert.is(code, 1);
    assert.is(out, "");
  }
  assert.is(fs.readFileSync(home.config, "utf8"), firstFile);
  await Promise.all([broken.close(), html.close(), other.close()]);
});

test("required flags are named together", async () => {
  const { code, err } = await home.run([...planes, "add"]);
  assert.is(code, 1);
  assert.match(err, /^Error: required flag\(s\) "address", "name" not set\nUsage:\n/);
});

test("client certificates are kept under either spelling of their flags", async () => {
  const cp = await startControlPlane();
  for (const kind of ["dataplane-token", "admin"]) {
    const flags = [`--${kind}-client-cert`, "/c.pem", `--${kind}-client-key`, "/k.pem"];
    await home.run([...planes, "add", "--name", kind, "--address", cp.url, ...flags]);
  }
  const view = (await home.run(["config", "view"])).out;
  const credentials = "  credentials:\n    dataplaneTokenApi:\n      clientCert: /c.pem\n      clientKey: /k.pem\n";
  assert.is(view.split(credentials).length, 3);
  const relative = ["--dataplane-token-client-cert=c.pem", "--dataplane-token-client-key=k.pem"];
  await home.run([...planes, "add", "--name", "r", "--address", cp.url, ...relative]);
  assert.match((await home.run(["config", "view"])).out, `      clientCert: ${path.resolve("c.pem")}\n`);
  const half = await home.run([
    ...planes,
    "add",
    "--name",
    "h",
    "--address",
    cp.url,
    "--dataplane-token-client-cert",
    "/c",
  ]);
  assert.match(half.err, "have to be given together");
  await cp.close();
});

test("unknown content of the file is kept", async () => {
  const file = home.file(
    "config",
    `contexts:
- name: a
  controlPlane: a
  defaults: {mesh: pilot}
  credentials: {adminApi: {clientCert: /c, clientKey: /k}}
- name: b
  controlPlane: b
controlPlanes:
- name: a
  coordinates: {apiServer: {url: "http://localhost:1"}, future: 1}
- name: b
  coordinates: {apiServer: {url: "http://localhost:2"}}
currentContext: a
`,
  );
  await home.run(["--config-file", file, ...planes, "switch", "--name", "b"]);
  const { out } = await home.run(["--config-file", file, "config", "view"]);
  assert.match(out, "  defaults:\n    mesh: pilot\n");
  assert.match(out, "    dataplaneTokenApi:\n      clientCert: /c\n      clientKey: /k\n");
  assert.match(out, "    future: 1\n");
  assert.match(out, "currentContext: b\n");
});

test("an invalid configuration is explained", async () => {
  const cases: [string, RegExp][] = [
    ["{", /^Error: Failed to parse configuration file "[^"]+": /],
    ["contexts: 5", /^Error: Failed to parse configuration file "[^"]+": contexts: expected a list/],
    ["- a", /^Error: Failed to parse configuration file/],
    [
      "controlPlanes: [{name: a, coordinates: {apiServer: {url: nope}}}]",
      /is invalid: controlPlanes\[0\]\.coordinates\.apiServer\.url has to be a URL/,
    ],
    [
      "controlPlanes: [{coordinates: {apiServer: {url: 'http://a'}}}]",
      /is invalid: controlPlanes\[0\]\.name cannot be empty/,
    ],
    ["contexts: [{controlPlane: a}]", /is invalid: contexts\[0\]\.name cannot be empty/],
    [
      "currentContext: gone",
      /^Error: apparently, configuration is broken: the active context "gone" refers to no Control Plane\. Use `kumactl/,
    ],
    ["contexts: [{name: a, controlPlane: gone}]\ncurrentContext: a", /apparently, configuration is broken/],
    ["", /^Error: active Control Plane is not set\./],
  ];
  for (const [content, expected] of cases) {
    const { code, err } = await home.run(["--config-file", home.file("c", content), "get", "meshes"]);
    assert.match(err, expected);
    assert.is(code, 1);
  }
});

test("a configuration that can't be written is an error", async () => {
  fs.writeFileSync(path.join(home.path, ".kumactl"), "a file where the directory should be");
  const { code, err } = await home.run(["get", "meshes"]);
  assert.is(code, 1);
  assert.match(err, /^Error: Failed to (write|access) configuration file/);
});

test.run();
