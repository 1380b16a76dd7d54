// deadline: 300 s
import { X509Certificate } from "node:crypto";
import { status } from "@grpc/grpc-js";
import * as assert from "uvu/assert";
import { eventually } from "../support/eventually.js";
import { openSecretStream } from "../support/secret-client.js";
import { suite } from "../support/suite.js";
import { type ApiServer, startApiServer } from "./api-server.js";
import type { TokenRequestSpec } from "./cluster.js";
import { installKuma, type KumaInstallation } from "./kuma-cp.js";
import { type ApiObject, corePath, objectsOf } from "./objects.js";

const test = suite("proxies prove who they are by tokens of their ServiceAccounts", { needs: "kubernetes" });

let api: ApiServer;
let kuma: KumaInstallation;
let objects: ReturnType<typeof objectsOf>;
const pods = new Map<string, ApiObject>();

async function pod(namespace: string, name: string, ip: string, serviceAccountName = "default"): Promise<void> {
  pods.set(
    `${namespace}/${name}`,
    await objects.pod(namespace, name, { ip, labels: { app: "web" }, spec: { serviceAccountName } }),
  );
  await objects.dataplane("is made", namespace, name);
}

test.before(async () => {
  api = await startApiServer();
  objects = objectsOf(api);
  kuma = await installKuma(api);
  for (const namespace of ["demo", "other"]) {
    await objects.namespace(namespace);
    await objects.service(namespace, "web", { selector: { app: "web" }, ports: [{ port: 80, targetPort: 8080 }] });
  }
  await objects.create(corePath("serviceaccounts", "demo"), { metadata: { name: "special" } });
  await pod("demo", "p1", "10.1.0.5");
  await pod("demo", "p2", "10.1.0.6", "special");
  await pod("other", "p1", "10.1.1.5");
  await eventually("the mesh has its authority", () =>
    objects.find(`${corePath("secrets", "kuma-system")}/builtinca.default`),
  );
});
test.after(async () => {
  if (process.env.SHOW_LOG !== undefined) console.log(kuma?.kumaCp.output());
  await kuma?.stop();
  await api?.stop();
});

/** A token as kubelet mounts it into a pod. */
function tokenOf(namespace: string, name: string, more: TokenRequestSpec & { account?: string } = {}): Promise<string> {
  const { account = "default", ...spec } = more;
  const uid = pods.get(`${namespace}/${name}`)?.metadata.uid ?? "";
  const boundObjectRef = { kind: "Pod", name, uid };
  return api.accountToken(namespace, account, { audiences: ["kuma"], boundObjectRef, ...spec });
}

async function certificateOf(node: string, token: string): Promise<X509Certificate> {
  const stream = await openSecretStream(kuma.kumaCp.sdsPort, node, token);
  stream.request(["identity_cert"]);
  const { certificate = "" } = await stream.next(1);
  stream.close();
  return new X509Certificate(certificate);
}

/** Waits until the stream is refused and the log has the reason. */
async function refused(node: string, token: string | undefined, reason: string): Promise<void> {
  const logged = kuma.kumaCp.output().length;
  const stream = await openSecretStream(kuma.kumaCp.sdsPort, node, token);
  stream.request(["identity_cert"]);
  const error = await eventually("the stream is refused", () => stream.ended);
  assert.equal([error.code, error.details], [status.UNAUTHENTICATED, "the dataplane could not be authenticated"]);
  assert.is(stream.responses.length, 0);
  stream.close();
  await eventually(`the log says: ${reason}`, () => {
    const since = kuma.kumaCp.output().slice(logged).replaceAll('\\"', '"');
    if (!since.includes(reason)) throw new Error(since);
    return true;
  });
}

test("a token that is bound to the proxy's pod gets a certificate for the services of its Dataplane", async () => {
  const certificate = await certificateOf("default.p1.demo", await tokenOf("demo", "p1"));
  assert.is(certificate.subjectAltName, "URI:spiffe://default/web.demo.svc:80");
  const bearer = await certificateOf("default.p1.other", `Bearer ${await tokenOf("other", "p1")}`);
  assert.is(bearer.subjectAltName, "URI:spiffe://default/web.other.svc:80");
});

test("the same token opens several streams", async () => {
  const token = await tokenOf("demo", "p1");
  const all = await Promise.all(Array.from({ length: 30 }, () => certificateOf("default.p1.demo", token)));
  assert.is(all.length, 30);
});

test("the trust bundle needs no token", async () => {
  const stream = await openSecretStream(kuma.kumaCp.sdsPort, "default.p1.demo");
  stream.request(["mesh_ca"]);
  assert.match((await stream.next(1)).bundle ?? "", "BEGIN CERTIFICATE");
  stream.close();
});

test("no token, garbage, and a token that was tampered with are refused", async () => {
  await refused("default.p1.demo", undefined, "authentication failed: k8s token is missing");
  await refused("default.p1.demo", "let me in", "authentication failed: token doesn't belong to a valid user");
  const [head, body] = (await tokenOf("demo", "p1")).split(".");
  await refused(
    "default.p1.demo",
    `${head}.${body}.AAAA`,
    "authentication failed: token doesn't belong to a valid user",
  );
});

test("a token of another namespace is refused, whatever the pod is called", async () => {
  const reason = 'token belongs to a namespace ("other") different from proxyId ("demo")';
  await refused("default.p1.demo", await tokenOf("other", "p1"), `authentication failed: ${reason}`);
});

test("a token of another pod in the namespace is refused", async () => {
  const token = await tokenOf("demo", "p2", { account: "special" });
  await refused("default.p1.demo", token, 'authentication failed: token is bound to the pod "p2", not to "p1"');
  await certificateOf("default.p2.demo", token);
});

test("a token for the API server, such as every pod has, is refused", async () => {
  const token = await api.accountToken("demo", "default");
  await refused("default.p1.demo", token, "authentication failed: token doesn't belong to a valid user");
});

test("a token that is bound to no pod counts if the pod has its ServiceAccount", async () => {
  const token = await api.accountToken("demo", "special", { audiences: ["kuma"] });
  await certificateOf("default.p2.demo", token);
  const reason = 'token belongs to the ServiceAccount "special", but the pod "p1" has "default"';
  await refused("default.p1.demo", token, `authentication failed: ${reason}`);
});

test("a token of another mesh's proxy, or of one without a Dataplane, is refused", async () => {
  const token = await tokenOf("demo", "p1");
  pods.set("demo/lonely", await objects.pod("demo", "lonely", { ip: "10.1.0.9" }));
  const lonely = await tokenOf("demo", "lonely");
  const reason = 'authentication failed: unable to find Dataplane for proxy "default.lonely.demo"';
  await refused("default.lonely.demo", lonely, reason);
  await objects.create("/apis/kuma.io/v1alpha1/meshes", {
    apiVersion: "kuma.io/v1alpha1",
    kind: "Mesh",
    metadata: { name: "pilot" },
  });
  await eventually("the mesh has its authority", () =>
    objects.find(`${corePath("secrets", "kuma-system")}/builtinca.pilot`),
  );
  await refused("pilot.p1.demo", token, 'authentication failed: unable to find Dataplane for proxy "pilot.p1.demo"');
});

test("a pod that is made again by the same name is not its predecessor", async () => {
  await pod("demo", "set-0", "10.1.0.20");
  const old = await tokenOf("demo", "set-0");
  await certificateOf("default.set-0.demo", old);
  await objects.delete(`${corePath("pods", "demo")}/set-0`);
  await objects.pod("demo", "set-0", { ip: "10.1.0.21", labels: { app: "web" } });
  await objects.dataplane("follows", "demo", "set-0", (found) =>
    JSON.stringify(found.spec.networking.inbound).includes("10.1.0.21"),
  );
  // The API server and the control plane remember a valid token for some ten seconds each.
  await eventually(
    "the old token is refused",
    async () => {
      const stream = await openSecretStream(kuma.kumaCp.sdsPort, "default.set-0.demo", old);
      stream.request(["identity_cert"]);
      await eventually("an answer", () => stream.ended ?? stream.responses[0]);
      stream.close();
      return stream.responses.length === 0;
    },
    60_000,
  );
});

test("an API server that does not answer refuses everybody", async () => {
  const token = await tokenOf("other", "p1");
  await api.apiServer.kill();
  await refused("default.p1.other", token, "authentication failed: call to TokenReview API failed");
});

test("tokens are never logged", async () => {
  assert.not.match(kuma.kumaCp.output(), /eyJ[A-Za-z0-9_-]{10,}/);
});

test.run();
