import { existsSync } from "node:fs";
import path from "node:path";
import * as assert from "uvu/assert";
import { eventually } from "../support/eventually.js";
import { suite } from "../support/suite.js";
import { type ApiServer, startApiServer } from "./api-server.js";

const test = suite("an API server on loopback", { needs: "kubernetes" });

let server: ApiServer;
test.before(async () => {
  server = await startApiServer();
});
test.after(() => server?.stop());

const configMaps = "/api/v1/namespaces/default/configmaps";
const configMap = (name: string, rest: object = {}) => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name, ...rest },
});

async function create(name: string, rest?: object): Promise<{ uid: string; resourceVersion: string }> {
  const { status, body } = await server.request("POST", configMaps, configMap(name, rest));
  assert.is(status, 201, JSON.stringify(body));
  return (body as { metadata: { uid: string; resourceVersion: string } }).metadata;
}

const status = async (place: string) => (await server.request("GET", place)).status;

test("it is Kubernetes 1.37 or newer, for requests and for kubectl", async () => {
  const { major, minor } = (await server.request("GET", "/version")).body as { major: string; minor: string };
  assert.is(major, "1");
  assert.ok(Number(minor) >= 37, minor);
  assert.match(await server.kubectl(["version"]), `Server Version: v1.${minor}`);
});

test("kubectl's failures are errors with its words", async () => {
  const failure = await server.kubectl(["get", "configmap", "nobody"]).catch((error: Error) => error.message);
  assert.match(String(failure), 'configmaps "nobody" not found');
});

test("an owned object is collected after its owner", async () => {
  const { uid } = await create("owner");
  await create("owned", { ownerReferences: [{ apiVersion: "v1", kind: "ConfigMap", name: "owner", uid }] });
  await server.kubectl(["delete", "configmap", "owner"]);
  await eventually("the owned object is gone", async () => (await status(`${configMaps}/owned`)) === 404);
});

test("a namespace that is deleted goes away", async () => {
  await server.kubectl(["create", "namespace", "passing"]);
  await server.kubectl(["delete", "namespace", "passing", "--wait=false"]);
  await eventually("the namespace is gone", async () => (await status("/api/v1/namespaces/passing")) === 404);
});

test("a ServiceAccount may what its roles say and no more, also by a kubeconfig", async () => {
  await server.apply(`
apiVersion: v1
kind: ServiceAccount
metadata: {name: reader, namespace: default}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader, namespace: default}
rules: [{apiGroups: [""], resources: [configmaps], verbs: [get, list]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: reader, namespace: default}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}
subjects: [{kind: ServiceAccount, name: reader, namespace: default}]
`);
  const token = await server.accountToken("default", "reader");
  const may = async (method: string, place: string, body?: object) =>
    (await server.request(method, place, body, { token })).status;
  await eventually("the role applies", async () => (await may("GET", configMaps)) === 200);
  assert.is(await may("POST", configMaps, configMap("forbidden")), 403);
  assert.is(await may("GET", "/api/v1/secrets"), 403);
  const kubeconfig = server.writeKubeconfig(token);
  assert.match(await server.kubectl(["auth", "whoami"], { kubeconfig }), "system:serviceaccount:default:reader");
});

test("after a compaction and a restart, a watch from an old resourceVersion is answered 410", async () => {
  const { resourceVersion } = await create("old");
  const watch = () =>
    server.request("GET", `${configMaps}?watch=true&timeoutSeconds=1&resourceVersion=${resourceVersion}`);
  assert.not.match(JSON.stringify((await watch()).body), '"code":410');
  for (const name of ["later-1", "later-2"]) await create(name);
  const compacted = await server.compact();
  assert.ok(Number(compacted) > Number(resourceVersion), `${compacted} ${resourceVersion}`);
  await server.apiServer.stop();
  server.apiServer.start();
  await server.ready();
  const { body } = await watch();
  assert.match(JSON.stringify(body), "410", JSON.stringify(body));
});

test("the API server returns after etcd was killed, with what it had stored", async () => {
  await create("kept");
  await server.etcd.kill();
  assert.is(server.etcd.running, false);
  await eventually("it misses etcd", async () => (await status("/readyz")) !== 200);
  server.etcd.start();
  await eventually("it serves again", async () => (await status(`${configMaps}/kept`)) === 200);
});

test("a frozen API server keeps its connections and answers once it is thawed", async () => {
  server.apiServer.freeze();
  let answered = false;
  const answer = server.request("GET", "/version").finally(() => {
    answered = true;
  });
  const other = await startApiServer({ controllers: "none" });
  assert.is(answered, false);
  server.apiServer.thaw();
  assert.is((await answer).status, 200);
  // The second one shows that two can run side by side, and that nothing of one that was stopped is left.
  assert.is.not(other.url, server.url);
  assert.is((await other.request("GET", "/api/v1/namespaces/default")).status, 200);
  const directory = path.dirname(other.kubeconfig);
  await other.stop();
  assert.is(existsSync(directory), false);
  for (const component of [other.etcd, other.apiServer]) assert.is(component.running, false);
});

test.run();
