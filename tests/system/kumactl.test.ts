import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import * as assert from "uvu/assert";
import { eventually } from "../support/eventually.js";
import { type ControlPlane, runProgram, startControlPlane } from "../support/executable.js";
import { suite } from "../support/suite.js";

const test = suite("kumactl as built, against kuma-cp as built");

const redis = `type: Dataplane
mesh: default
name: redis-1
networking:
  inbound:
  - interface: 127.0.0.1:9000:6379
    tags:
      service: redis
`;

let cp: ControlPlane;
let directory: string;
let config: string;

test.before(async () => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), "kumactl-system-"));
  config = path.join(directory, "config");
  fs.writeFileSync(config, "");
  cp = await startControlPlane();
});
test.after(async () => {
  await cp.stop();
  fs.rmSync(directory, { recursive: true, force: true });
});

function kumactl(words: readonly string[], input?: string) {
  return runProgram("kumactl", ["--config-file", config, ...words], input);
}

test("a control plane is added once and becomes the active one", () => {
  const add = ["config", "control-planes", "add", "--name", "cp", "--address", cp.api];
  const added = kumactl(add);
  assert.equal(added, {
    status: 0,
    stdout: 'added Control Plane "cp"\nswitched active Control Plane to "cp"\n',
    stderr: "",
  });
  assert.is(
    kumactl(["config", "control-planes", "list"]).stdout,
    `ACTIVE   NAME   ADDRESS\n*        cp     ${cp.api}\n`,
  );
  const again = kumactl(add);
  assert.is(again.status, 1);
  assert.match(again.stderr, /^Error: Control Plane with name "cp" already exists/);
  assert.is(kumactl([...add, "--overwrite"]).status, 0);
});

test("the documentation's example is applied, listed, inspected and deleted", () => {
  const dry = kumactl(["apply", "--dry-run"], redis);
  assert.equal(dry, { status: 0, stdout: 'would create Dataplane "redis-1"\n', stderr: "" });
  assert.equal(kumactl(["apply", "-f", "-"], redis), { status: 0, stdout: "", stderr: "" });
  assert.is(kumactl(["get", "dataplanes"]).stdout, "MESH      NAME      TAGS\ndefault   redis-1   service=redis\n");
  assert.is(
    kumactl(["inspect", "dataplanes"]).stdout,
    `MESH      NAME      TAGS            STATUS    LAST CONNECTED AGO   LAST UPDATED AGO   TOTAL UPDATES   TOTAL ERRORS
default   redis-1   service=redis   Offline   never                never              0               0
`,
  );
  assert.is(kumactl(["delete", "dataplane", "redis-1"]).stdout, 'deleted Dataplane "redis-1"\n');
  assert.is(kumactl(["delete", "dataplane", "redis-1"]).stderr, 'Error: there is no Dataplane with name "redis-1"\n');
});

test("get prints the API's list as a table, JSON and YAML", async () => {
  assert.match(kumactl(["get", "meshes"]).stdout, /^NAME {6}mTLS\ndefault {3}off\n/);
  const api = await (await fetch(`${cp.api}/meshes`)).json();
  assert.equal(JSON.parse(kumactl(["get", "meshes", "-o", "json"]).stdout), api);
  assert.match(kumactl(["get", "meshes", "-o", "yaml"]).stdout, /^items:\n- type: Mesh\n {2}name: default\n/);
});

test("a template's variable is filled in", () => {
  const file = path.join(directory, "mesh.yaml");
  fs.writeFileSync(file, "type: Mesh\nname: {{name}}\n");
  assert.is(kumactl(["apply", "-f", file, "-v", "name=m2"]).status, 0);
  assert.match(kumactl(["get", "meshes"]).stdout, /\nm2 +off\n/);
});

test("every -f is applied, in order, and a refusal says what was applied", async () => {
  const file = (name: string, text: string) => {
    fs.writeFileSync(path.join(directory, name), text);
    return path.join(directory, name);
  };
  const mesh = file("first.yaml", "type: Mesh\nname: m3\n");
  const dataplane = file("second.yaml", redis.replace("mesh: default", "mesh: m3"));
  assert.equal(kumactl(["apply", "-f", mesh, "-f", dataplane]), { status: 0, stdout: "", stderr: "" });
  assert.match(kumactl(["get", "dataplanes", "--mesh=m3"]).stdout, /^m3 +redis-1 /m);
  const ghost = file("ghost.yaml", redis.replace("mesh: default", "mesh: ghost"));
  const { status, stderr } = kumactl(["apply", "-f", mesh, "-f", ghost, "-f", dataplane]);
  assert.is(status, 1);
  assert.match(stderr, /\napplied: Mesh "m3"\nnot applied: Dataplane "redis-1", Dataplane "redis-1"\n/);
  assert.match(kumactl(["get", "meshes", "--mesh=a", "--mesh=b"]).stderr, /^Error: flag --mesh takes one value/);
});

test("a Mesh without mtls, while it is on, is applied with a loud warning, which the API sends as a header", async () => {
  const on = "type: Mesh\nname: m4\nmtls: {enabled: true}\n";
  assert.equal(kumactl(["apply"], on), { status: 0, stdout: "", stderr: "" });
  const off = "type: Mesh\nname: m4\n";
  const loud = /^Warning: Mesh "m4": mTLS is SWITCHED OFF for mesh "m4", where it was on: .*\n$/;
  assert.match(kumactl(["apply", "--dry-run"], off).stderr, loud);
  assert.match(kumactl(["apply"], off).stderr, loud);
  await eventually("the log has it", () => /\tWARN\t\S+\tmTLS is SWITCHED OFF/.test(cp.output()));
  kumactl(["apply"], on);
  const answer = await fetch(`${cp.api}/meshes/m4`, {
    method: "PUT",
    headers: { "content-type": "application/json" },
    body: '{"type": "Mesh", "name": "m4"}',
  });
  assert.match(answer.headers.get("warning") ?? "", /^299 - "mTLS is SWITCHED OFF for mesh \\"m4\\"/);
});

test("errors name the place and exit with code 1", () => {
  const cases: [string[], string, string][] = [
    [["apply"], "type: Dataplane\nname: a\n", "Error: YAML contains invalid resource: Mesh field cannot be empty\n"],
    [
      ["apply"],
      "type: Mesh\nname: a\nloging: {}\n",
      'Error: YAML contains invalid resource: loging: unknown field; did you mean "logging"?\n',
    ],
    [
      ["apply"],
      "type: Dataplane\nmesh: default\nname: a\nnetworking: {}\n",
      "Error: Could not create a resource (Resource is not valid)\n* networking.inbound: has to contain at least one inbound interface\n",
    ],
    [["delete", "mesh", "nope"], "", 'Error: there is no Mesh with name "nope"\n'],
  ];
  for (const [words, input, expected] of cases) {
    assert.equal(kumactl(words, input), { status: 1, stdout: "", stderr: expected });
  }
});

test("certificates and the database schema need no control plane", () => {
  const [key, cert] = [path.join(directory, "k"), path.join(directory, "c")];
  const made = kumactl(["generate", "certificate", `--cert=${cert}`, `--key=${key}`, "--type=server"]);
  assert.equal(made, {
    status: 0,
    stdout: `Certificates generated\nKey was saved in: ${key}\nCert was saved in: ${cert}\n`,
    stderr: "",
  });
  assert.is(fs.statSync(key).mode & 0o777, 0o400);
  assert.match(kumactl(["install", "database-schema"]).stdout, /^CREATE TABLE IF NOT EXISTS resources/m);
});

test("version and help answer at once and fully", () => {
  assert.match(kumactl(["version"]).stdout, /^\S+\n$/);
  assert.match(
    kumactl(["version", "--detailed"]).stdout,
    /^Version: {4}.+\nGit Tag: {4}.+\nGit Commit: .+\nBuild Date: .+\n$/,
  );
  assert.match(kumactl([]).stdout, /^Management tool for Kuma\.\n\nUsage:\n/);
});

test.run();
