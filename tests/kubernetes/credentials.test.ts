import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import * as assert from "uvu/assert";
import { createKubeClient } from "../../src/kubeapi/client.js";
import { type Credentials, loadCredentials } from "../../src/kubeapi/credentials.js";
import { hasStatus } from "../../src/kubeapi/error.js";
import { type IssuedCertificate, issueCertificate } from "../support/certificates.js";
import { suite } from "../support/suite.js";
import { type ApiServer, startApiServer } from "./api-server.js";

const test = suite("credentials for the Kubernetes API", { needs: "kubernetes" });

let server: ApiServer;
let home: string;
/** The authority that signs client certificates. */
let clients: IssuedCertificate;

test.before(async () => {
  home = fs.mkdtempSync(path.join(os.tmpdir(), "kuma-credentials-"));
  clients = issueCertificate({ name: "clients" });
  const flags = [`--client-ca-file=${write("clients.crt", clients.cert)}`];
  server = await startApiServer({ controllers: "none", flags });
});
test.after(async () => {
  await server.stop();
  fs.rmSync(home, { recursive: true, force: true });
});

const namespaces = { group: "", version: "v1", plural: "namespaces" };

/** Whom the API server takes the credentials for. */
async function whoami(credentials: Credentials): Promise<string> {
  const client = createKubeClient(credentials);
  try {
    const review = { apiVersion: "authentication.k8s.io/v1", kind: "SelfSubjectReview" };
    const answer = await client.request("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", review);
    return (answer as { status: { userInfo: { username: string } } }).status.userInfo.username;
  } finally {
    client.close();
  }
}

const directory = (name: string) => {
  const made = path.join(home, name);
  fs.mkdirSync(made, { recursive: true });
  return made;
};

function write(name: string, content: string | object): string {
  const file = path.join(home, name);
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, typeof content === "string" ? content : JSON.stringify(content));
  return file;
}

function kubeconfig(user: object, cluster: object = {}): object {
  return {
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: "c", cluster: { server: server.url, "certificate-authority": "ca.crt", ...cluster } }],
    users: [{ name: "u", user }],
    contexts: [{ name: "x", context: { cluster: "c", user: "u", namespace: "here" } }],
    "current-context": "x",
  };
}

/** The mount of a pod. */
async function mount(name: string): Promise<string> {
  const at = directory(name);
  await server.request("POST", "/api/v1/namespaces/default/serviceaccounts", { metadata: { name } });
  fs.writeFileSync(path.join(at, "token"), await server.accountToken("default", name));
  fs.writeFileSync(path.join(at, "ca.crt"), server.authority);
  fs.writeFileSync(path.join(at, "namespace"), "default");
  return at;
}

const inCluster = () => {
  const { hostname, port } = new URL(server.url);
  return { KUBERNETES_SERVICE_HOST: hostname, KUBERNETES_SERVICE_PORT: port };
};

test("KUBECONFIG comes first, then the pod's ServiceAccount, then the file in the home directory", async () => {
  write("ca.crt", server.authority);
  const config = write("config.json", kubeconfig({ token: server.token }));
  const serviceAccount = await mount("pod-a");
  const sources = { serviceAccount, home };
  const first = await loadCredentials({ ...sources, env: { ...inCluster(), KUBECONFIG: config } });
  assert.equal([await whoami(first), first.namespace], ["admin", "here"]);
  const second = await loadCredentials({ ...sources, env: inCluster() });
  assert.equal([await whoami(second), second.namespace], ["system:serviceaccount:default:pod-a", "default"]);
  write(".kube/config", kubeconfig({ token: server.token }, { "certificate-authority": "../ca.crt" }));
  assert.is(await whoami(await loadCredentials({ ...sources, env: {} })), "admin");
  const chosen = await loadCredentials({ ...sources, kubeconfig: config, env: { KUBECONFIG: "/absent" } });
  assert.is(await whoami(chosen), "admin");
});

test("without any the error says where they were looked for", async () => {
  const nowhere = { home: directory("empty"), serviceAccount: directory("no-mount"), env: {} };
  const error = await loadCredentials(nowhere).catch((one: unknown) => one as Error);
  assert.match((error as Error).message, /set KUBECONFIG .*KUBERNETES_SERVICE_HOST is not set.*empty\/\.kube\/config/);
  const absent = await loadCredentials({ ...nowhere, env: { KUBECONFIG: "/absent/file" } }).catch((one: Error) => one);
  assert.match((absent as Error).message, /kubeconfig \/absent\/file \(KUBECONFIG\) can't be used: ENOENT/);
  const dangling = write("dangling.json", { ...kubeconfig({}), "current-context": "other" });
  const other = await loadCredentials({ ...nowhere, kubeconfig: dangling }).catch((one: Error) => one);
  assert.match((other as Error).message, /its current-context "other" is not defined in it/);
});

test("plain HTTP would show them, and is only taken on this machine", async () => {
  const far = write("far.json", kubeconfig({ token: "t" }, { server: "http://192.0.2.1:8080" }));
  const error = await loadCredentials({ kubeconfig: far }).catch((one: Error) => one);
  assert.match((error as Error).message, /plain HTTP.*use https/);
  const near = write("near.json", kubeconfig({}, { server: "http://127.0.0.1:8001" }));
  assert.is((await loadCredentials({ kubeconfig: near })).server.href, "http://127.0.0.1:8001/");
});

test("a client certificate proves who we are, and the server's is always verified", async () => {
  write("ca.crt", server.authority);
  const { cert, key } = issueCertificate({ name: "somebody", by: clients });
  const files = { "client-certificate": write("client.crt", cert), "client-key": write("client.key", key) };
  assert.is(await whoami(await loadCredentials({ kubeconfig: write("client.json", kubeconfig(files)) })), "somebody");
  const stranger = issueCertificate({ name: "stranger" });
  write("stranger.crt", stranger.cert);
  const distrusting = kubeconfig({ token: server.token }, { "certificate-authority": "stranger.crt" });
  const refused = await whoami(await loadCredentials({ kubeconfig: write("distrust.json", distrusting) })).catch(
    (one: unknown) => one,
  );
  assert.ok(hasStatus(refused, 0), String(refused));
});

test("an exec plugin gives the token, and is asked again when that is refused", async () => {
  write("ca.crt", server.authority);
  const token = write("plugin-token", "out-of-date");
  const plugin = `printf '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"%s"}}' "$(cat ${token})"`;
  const exec = { apiVersion: "client.authentication.k8s.io/v1", command: "sh", args: ["-c", plugin] };
  const credentials = await loadCredentials({ kubeconfig: write("exec.json", kubeconfig({ exec })) });
  assert.ok(hasStatus(await whoami(credentials).catch((one: unknown) => one), 401));
  fs.writeFileSync(token, server.token);
  assert.is(await whoami(credentials), "admin");
});

test("a token file is read again after a minute, and at once when its token is refused", async () => {
  const serviceAccount = await mount("pod-b");
  let now = 0;
  const credentials = await loadCredentials({ serviceAccount, home, env: inCluster(), now: () => now });
  assert.is(await whoami(credentials), "system:serviceaccount:default:pod-b");
  await server.request("POST", "/api/v1/namespaces/default/serviceaccounts", { metadata: { name: "pod-c" } });
  fs.writeFileSync(path.join(serviceAccount, "token"), await server.accountToken("default", "pod-c"));
  assert.is(await whoami(credentials), "system:serviceaccount:default:pod-b");
  now = 60_000;
  assert.is(await whoami(credentials), "system:serviceaccount:default:pod-c");
  await server.request("DELETE", "/api/v1/namespaces/default/serviceaccounts/pod-c");
  fs.writeFileSync(path.join(serviceAccount, "token"), "nonsense");
  credentials.renew();
  await credentials.access();
  fs.writeFileSync(path.join(serviceAccount, "token"), await server.accountToken("default", "pod-b"));
  assert.is(await whoami(credentials), "system:serviceaccount:default:pod-b");
});

test("a list is read in pages, and is complete", async () => {
  const client = createKubeClient(await loadCredentials({ kubeconfig: server.kubeconfig }));
  try {
    const maps = { group: "", version: "v1", plural: "configmaps", namespace: "default" };
    const names = Array.from({ length: 1_100 }, (_, index) => `page-${String(index).padStart(4, "0")}`);
    for (let start = 0; start < names.length; start += 50) {
      await Promise.all(names.slice(start, start + 50).map((name) => client.create(maps, { metadata: { name } })));
    }
    const { items } = await client.list(maps);
    const found = items.map(({ metadata }) => metadata.name).filter((name) => name.startsWith("page-"));
    assert.equal(found.sort(), names);
    assert.ok(items.every(({ kind, apiVersion }) => kind === "ConfigMap" && apiVersion === "v1"));
    assert.is(await client.get(namespaces, "absent"), undefined);
  } finally {
    client.close();
  }
});

test.run();
