// deadline: 300 s
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import * as assert from "uvu/assert";
import { eventually } from "../support/eventually.js";
import { anyPorts, type ControlPlane, type Running, startControlPlane, startProgram } from "../support/executable.js";
import { applyCrds, makeNamespaces } from "../support/kubernetes-store.js";
import { freePort } from "../support/ports.js";
import { suite } from "../support/suite.js";
import { type ApiServer, startApiServer } from "./api-server.js";
import { runProgram as runCommand } from "./cluster.js";
import { type FaultProxy, startFaultProxy } from "./fault-proxy.js";
import { type WebhookCertificate, webhookCertificate } from "./kuma-cp.js";

const test = suite("a control plane whose store is Kubernetes", { needs: "kubernetes" });

let server: ApiServer;
let proxy: FaultProxy;
let cp: ControlPlane;
let home: string;
let tokenFile: string;
let kubeconfig: string;
let certificate: WebhookCertificate;

/** As a ServiceAccount's token is used: a file that is replaced before the old one runs out. */
function writeKubeconfig(url: string): string {
  const cluster = { server: url, "certificate-authority-data": Buffer.from(server.authority).toString("base64") };
  const config = {
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: "test", cluster }],
    users: [{ name: "kuma-cp", user: { tokenFile: "token" } }],
    contexts: [{ name: "test", context: { cluster: "test", user: "kuma-cp" } }],
    "current-context": "test",
  };
  const file = path.join(home, "kubeconfig");
  fs.writeFileSync(file, JSON.stringify(config));
  return file;
}

const settings = () => ({
  ...anyPorts,
  HOME: home,
  KUBECONFIG: kubeconfig,
  KUMA_STORE_TYPE: "kubernetes",
  KUMA_KUBERNETES_ADMISSION_SERVER_CERT_DIR: certificate.directory,
  KUMA_KUBERNETES_ADMISSION_SERVER_PORT: "0",
  KUMA_SDS_SERVER_TLS_CERT_FILE: path.join(certificate.directory, "sds.crt"),
  KUMA_SDS_SERVER_TLS_KEY_FILE: path.join(certificate.directory, "sds.key"),
});

async function body<T = { items: { name: string }[] }>(place: string): Promise<T> {
  const response = await fetch(`${cp.api}${place}`);
  if (!response.ok) throw new Error(`GET ${place}: ${response.status} ${await response.text()}`);
  return (await response.json()) as T;
}
const namesAt = async (place: string) => (await body(place)).items.map(({ name }) => name);
const status = async (url: string) => (await fetch(url)).status;

const kumactl = (args: readonly string[], input = "") =>
  runCommand(["env", `HOME=${home}`, path.join(process.env.KUMA_BIN ?? "dist/bin", "kumactl"), ...args], input);

const dataplane = (name: string, more: object = {}) => ({
  apiVersion: "kuma.io/v1alpha1",
  kind: "Dataplane",
  mesh: "default",
  metadata: { name, namespace: "demo" },
  spec: { networking: { inbound: [{ interface: "10.1.0.5:8080:8080", tags: { service: "web" } }] } },
  ...more,
});

test.before(async () => {
  home = fs.mkdtempSync(path.join(os.tmpdir(), "kuma-store-mode-"));
  server = await startApiServer({ controllers: "none" });
  proxy = await startFaultProxy(server, server.issuer);
  certificate = webhookCertificate();
  tokenFile = path.join(home, "token");
  fs.writeFileSync(tokenFile, server.token);
  kubeconfig = writeKubeconfig(proxy.url);
});
test.after(async () => {
  await cp?.stop();
  await proxy.close();
  await server.stop();
  for (const directory of [home, certificate.directory]) fs.rmSync(directory, { recursive: true, force: true });
});

test("without credentials it ends before it opens a port, and says where it looked for them", async () => {
  const port = await freePort();
  const { KUBECONFIG: _, ...without } = settings();
  const env = { ...without, KUBECONFIG: "", KUMA_XDS_SERVER_DIAGNOSTICS_PORT: String(port) };
  const running = startProgram("kuma-cp", ["run"], { ...env, KUBERNETES_SERVICE_HOST: "" });
  assert.is(await running.ended, 1);
  assert.match(running.output(), /no credentials for a Kubernetes API server: set KUBECONFIG .*\.kube\/config/);
  assert.not.match(running.output(), /"msg"|listening/);
  const wrong = startProgram("kuma-cp", ["run"], { ...env, KUBECONFIG: path.join(home, "absent") });
  assert.is(await wrong.ended, 1);
  assert.match(wrong.output(), /kubeconfig \S+absent \(KUBECONFIG\) can't be used/);
});

test("without CRDs it lives and is not ready; once they are applied it becomes ready, without a restart", async () => {
  const port = await freePort();
  let early: Running | undefined;
  try {
    early = startProgram("kuma-cp", ["run"], { ...settings(), KUMA_XDS_SERVER_DIAGNOSTICS_PORT: String(port) });
    const health = `http://127.0.0.1:${port}`;
    await eventually("it lives", async () => (await status(`${health}/healthy`)) === 200);
    await eventually("it says what is missing", () => /no CRD of .*meshes\.kuma\.io/.test(early?.output() ?? ""));
    assert.is(await status(`${health}/ready`), 503);
    await makeNamespaces(server, ["kuma-system", "demo", "other"]);
    await applyCrds(server);
    await eventually("it is ready", async () => (await status(`${health}/ready`)) === 200);
  } finally {
    assert.is(await early?.stop(), 0);
  }
  cp = await startControlPlane(settings());
});

test("resources have the names of objects and namespaces in the HTTP API, in the order of their names", async () => {
  await server.apply([
    { apiVersion: "kuma.io/v1alpha1", kind: "Mesh", metadata: { name: "default" }, spec: {} },
    dataplane("p1"),
    dataplane("a.pod.with.dots"),
    dataplane("p1", { metadata: { name: "p1", namespace: "other" } }),
  ]);
  assert.equal(await namesAt("/meshes"), ["default"]);
  assert.equal(await namesAt("/meshes/default/dataplanes"), ["a.pod.with.dots.demo", "p1.demo", "p1.other"]);
  assert.equal((await body<{ name: string }>("/meshes/default")).name, "default");
  assert.equal(await body("/meshes/default/dataplanes/a.pod.with.dots.demo"), {
    type: "Dataplane",
    mesh: "default",
    name: "a.pod.with.dots.demo",
    networking: { inbound: [{ interface: "10.1.0.5:8080:8080", tags: { service: "web" } }] },
  });
  assert.is(await status(`${cp.api}/meshes/default/dataplanes/p1`), 404);
  assert.is(await status(`${cp.api}/meshes/other/dataplanes/p1.demo`), 404);
});

test("PUT and DELETE of any resource are answered 405 with what to do instead, and change nothing", async () => {
  const before = await body("/meshes/default/dataplanes");
  const refused = [
    ["PUT", "/meshes/default"],
    ["PUT", "/meshes/m2"],
    ["DELETE", "/meshes/default"],
    ["PUT", "/meshes/default/dataplanes/p1.demo"],
    ["DELETE", "/meshes/default/dataplanes/p1.demo"],
    ["DELETE", "/meshes/default/traffic-permissions/absent"],
  ] as const;
  for (const [method, place] of refused) {
    const sent = method === "PUT" ? { body: '{"type":"Mesh","name":"m2"}' } : {};
    const answer = await fetch(`${cp.api}${place}`, { method, ...sent });
    assert.equal([answer.status, answer.headers.get("allow")], [405, "GET, HEAD"], `${method} ${place}`);
    assert.equal(await answer.json(), {
      title: "Method not allowed",
      details: "On Kubernetes the state of Kuma is changed with kubectl and CRDs; the HTTP API is read-only",
    });
  }
  assert.equal(await body("/meshes/default/dataplanes"), before);
  assert.equal(await namesAt("/meshes"), ["default"]);
});

test("kumactl shows resources, and what changes them points to kubectl in one line", async () => {
  const add = ["config", "control-planes", "add", "--name=k8s", `--address=${cp.api}`];
  assert.is((await kumactl(add)).status, 0);
  const shown = await kumactl(["get", "dataplanes"]);
  assert.match(shown.stdout, /^default +p1\.demo +service=web$/m);
  const attempts = [
    [["apply"], "type: Mesh\nname: m2\n"],
    [["apply", "--dry-run"], "type: Mesh\nname: m2\n"],
    [["delete", "mesh", "default"], ""],
  ] as const;
  for (const [args, input] of attempts) {
    const { status: code, stderr } = await kumactl(args, input);
    assert.is(code, 1, args.join(" "));
    assert.match(stderr, /^Error: [^\n]*read-only[^\n]*`kubectl apply`[^\n]*\n$/);
  }
  assert.equal(await namesAt("/meshes"), ["default"]);
  const token = await kumactl(["generate", "dataplane-token", "--name=p1.demo"]);
  assert.is(token.status, 1);
  assert.match(token.stderr, /no dataplane tokens on Kubernetes, and none are needed: .*ServiceAccount/);
  assert.equal(token.stdout, "");
});

test("no token server runs, and no key for tokens is made", async () => {
  assert.is(cp.tokens, "");
  const catalogue = await body<{ apis: { dataplaneToken: unknown } }>("/catalogue");
  assert.equal(catalogue.apis.dataplaneToken, { localUrl: "", publicUrl: "" });
  const { body: secrets } = await server.request("GET", "/api/v1/namespaces/kuma-system/secrets");
  const names = (secrets as { items: { metadata: { name: string } }[] }).items.map(({ metadata }) => metadata.name);
  assert.not.ok(names.includes("dataplane-token-signing-key"), names.join());
});

test("an object that names no mesh belongs to the default one", async () => {
  const rules = [{ sources: [{ match: { service: "*" } }], destinations: [{ match: { service: "*" } }] }];
  await server.apply([
    {
      apiVersion: "kuma.io/v1alpha1",
      kind: "TrafficPermission",
      metadata: { name: "all", namespace: "demo" },
      spec: { rules },
    },
  ]);
  assert.equal(await namesAt("/meshes/default/traffic-permissions"), ["all.demo"]);
});

test("what a custom resource holds comes back byte for byte, unknown fields included, and an insight keeps its status", async () => {
  const resource =
    "'@type': type.googleapis.com/envoy.config.cluster.v3.Cluster\nname: raw\n\n  # a comment\n\tconnect_timeout: 5s\n";
  const template = {
    apiVersion: "kuma.io/v1alpha1",
    kind: "ProxyTemplate",
    mesh: "default",
    metadata: { name: "raw", namespace: "demo" },
    spec: {
      conf: { imports: ["default-proxy"], resources: [{ name: "raw", version: "1", resource, later: [1, null, "x"] }] },
      newer: { deep: { er: [{ and: { deeper: true } }] } },
      selectors: [{ match: { service: "*" } }],
    },
  };
  const insight = {
    apiVersion: "kuma.io/v1alpha1",
    kind: "DataplaneInsight",
    mesh: "default",
    metadata: { name: "p1", namespace: "demo" },
    status: { subscriptions: [{ id: "1", status: { total: { responsesSent: "18446744073709551615" } } }], newer: 1 },
  };
  const post = async (plural: string, object: object) => {
    const { status: code } = await server.request("POST", `/apis/kuma.io/v1alpha1/namespaces/demo/${plural}`, object);
    assert.is(code, 201);
  };
  const read = async (place: string) =>
    (await server.request("GET", `/apis/kuma.io/v1alpha1/${place}`)).body as { spec?: object; status?: object };
  await post("proxytemplates", template);
  await post("dataplaneinsights", insight);
  assert.equal((await read("namespaces/demo/proxytemplates/raw")).spec, template.spec);
  const stored = await read("namespaces/demo/dataplaneinsights/p1");
  assert.equal(stored.status, insight.status);
  const again = await server.request("PUT", "/apis/kuma.io/v1alpha1/namespaces/demo/dataplaneinsights/p1", stored);
  assert.equal((again.body as { status: object }).status, insight.status);
  const shown = await body<{ conf: { resources: { resource: string }[] } }>("/meshes/default/proxytemplates/raw.demo");
  assert.is(shown.conf.resources[0]?.resource, resource);
});

test("kubectl explains the fields of custom resources", async () => {
  const text = await server.kubectl(["explain", "trafficpermissions.spec.rules"]);
  assert.match(text, /sources[\s\S]*destinations|destinations[\s\S]*sources/);
  assert.match(await server.kubectl(["get", "kuma", "--all-namespaces"]), /dataplane\.kuma\.io\/p1 +default/);
});

test("an object that can't be read is skipped and logged once; others of its kind are there", async () => {
  await server.apply([dataplane("broken", { spec: { networking: "none" } }), dataplane("sound")]);
  const list = await namesAt("/meshes/default/dataplanes");
  assert.ok(list.includes("sound.demo") && !list.includes("broken.demo"), list.join());
  await namesAt("/meshes/default/dataplanes");
  const lines = cp
    .output()
    .split("\n")
    .filter((line) => line.includes("an object is skipped"));
  assert.is(lines.length, 1, lines.join("\n"));
  assert.match(lines[0] ?? "", /"broken".*"demo".*networking/);
  const skipped = async () =>
    /^store_objects_skipped (\d+)$/m.exec(await (await fetch(`${cp.health}/metrics`)).text())?.[1];
  assert.is(await skipped(), "1");
  await server.apply([dataplane("broken")]);
  await eventually("none is skipped", async () => (await skipped()) === "0");
  await eventually("it is there once it can be read", async () =>
    (await namesAt("/meshes/default/dataplanes")).includes("broken.demo"),
  );
});

test("a token that is replaced and then refused is read again from its file", async () => {
  const clusterRole = { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "cluster-admin" };
  await server.apply([
    { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "kuma-cp", namespace: "kuma-system" } },
    {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "ClusterRoleBinding",
      metadata: { name: "kuma-cp" },
      roleRef: clusterRole,
      subjects: [{ kind: "ServiceAccount", name: "kuma-cp", namespace: "kuma-system" }],
    },
  ]);
  const next = await server.accountToken("kuma-system", "kuma-cp");
  const old = server.token;
  try {
    fs.writeFileSync(tokenFile, next);
    proxy.refuseToken(old);
    proxy.cut();
    await server.apply([dataplane("rotated")]);
    await eventually("what was made since is seen", async () =>
      (await namesAt("/meshes/default/dataplanes")).includes("rotated.demo"),
    );
    await eventually("it is ready", async () => (await status(`${cp.health}/ready`)) === 200);
    assert.ok(proxy.answered(401) < 50, `${proxy.answered(401)} requests were refused`);
    assert.is(cp.child.exitCode, null);
  } finally {
    proxy.heal();
  }
});

test("without the API server it is not ready, answers from memory, and recovers", async () => {
  await server.apiServer.kill();
  try {
    await eventually("it is not ready", async () => (await status(`${cp.health}/ready`)) === 503);
    assert.is(await status(`${cp.health}/healthy`), 200);
    assert.ok((await namesAt("/meshes/default/dataplanes")).includes("p1.demo"));
  } finally {
    server.apiServer.start();
    await server.ready();
  }
  await eventually("it is ready again", async () => (await status(`${cp.health}/ready`)) === 200, 15_000);
});

test("at rest it sends less than two requests a second", async () => {
  const count = () => [200, 201, 404, 409].reduce((sum, code) => sum + proxy.answered(code), 0);
  await eventually("it is ready", async () => (await status(`${cp.health}/ready`)) === 200);
  await eventually("ten seconds are at rest", async () => {
    const [before, began] = [count(), performance.now()];
    await eventually("they are over", () => performance.now() - began > 10_000);
    if (count() - before >= 15) throw new Error(`${count() - before} requests in 10 s`);
    return true;
  });
});

test("SIGTERM ends it, and gives its Leases up", async () => {
  assert.is(await cp.stop(), 0);
  const { body: leases } = await server.request("GET", "/apis/coordination.k8s.io/v1/namespaces/kuma-system/leases");
  const { items } = leases as { items: { metadata: { name: string }; spec: { holderIdentity?: string } }[] };
  assert.equal(
    items.map(({ metadata, spec }) => [metadata.name, spec.holderIdentity ?? ""]),
    [["kuma-cp-leader", ""]],
  );
});

test.run();
