// deadline: 300 s
import { X509Certificate } from "node:crypto";
import * as assert from "uvu/assert";
import { eventually } from "../support/eventually.js";
import type { ControlPlane, Running } from "../support/executable.js";
import { suite } from "../support/suite.js";
import { type ApiServer, startApiServer } from "./api-server.js";
import { controlPlaneAccount, installCrds, launchKumaCp, webhookCertificate } from "./kuma-cp.js";
import { type ApiObject, corePath, kumaPath, objectsOf } from "./objects.js";

const test = suite("meshes on Kubernetes", { needs: "kubernetes" });

type Secret = ApiObject & { readonly type: string; readonly data: Readonly<Record<string, string>> };

let api: ApiServer;
let objects: ReturnType<typeof objectsOf>;
let running: Running | undefined;
/** Of the control plane's ServiceAccount; until its namespace exists, it runs as the administrator. */
let kubeconfig = "";
const certificate = webhookCertificate();

test.before(async () => {
  api = await startApiServer();
  objects = objectsOf(api);
});
test.after(async () => {
  if (process.env.SHOW_LOG !== undefined) console.log(running?.output());
  await running?.stop();
  await api?.stop();
});

const mesh = (name: string) => `${kumaPath("meshes")}/${name}`;
const authority = (name: string) => `${corePath("secrets", "kuma-system")}/builtinca.${name}`;
const found = <T = ApiObject>(place: string) => eventually(place, () => objects.find<T>(place));
const healthOf = ({ output }: Pick<ControlPlane, "output">) => /health +(\S+)\/ready/.exec(output())?.[1];
/** From then on with the printed permissions. */
const restart = async () => {
  await running?.stop();
  running = launchKumaCp(api, { certificate, kubeconfig });
};

test("a control plane that starts before the system namespace waits for it, and makes the Mesh default then", async () => {
  await installCrds(api);
  running = launchKumaCp(api, { certificate });
  await eventually("it runs", () => running?.output().includes("The control plane is ready"));
  assert.is(await objects.find(mesh("default")), undefined);
  assert.is(running.child.exitCode, null);
  kubeconfig = await controlPlaneAccount(api);
  const made = await found<ApiObject<{ mtls: { ca: { builtin: unknown } } }>>(mesh("default"));
  assert.equal(made.spec?.mtls.ca.builtin, {});
});

test("the certificate authority of a mesh is in a Secret that belongs to the Mesh", async () => {
  const { metadata } = await found(mesh("default"));
  const secret = await eventually("the Secret belongs to the Mesh", async () => {
    const current = await objects.find<Secret>(authority("default"));
    return current?.metadata.ownerReferences?.some(({ uid }) => uid === metadata.uid) === true && current;
  });
  assert.is(secret.type, "system.kuma.io/secret");
  assert.is(secret.metadata.labels?.["kuma.io/mesh"], "default");
  assert.equal(
    secret.metadata.ownerReferences?.map(({ kind, controller }) => [kind, controller]),
    [["Mesh", true]],
  );
  const { roots } = JSON.parse(Buffer.from(secret.data.value ?? "", "base64").toString()) as {
    roots: { cert: string }[];
  };
  const pem = Buffer.from(roots[0]?.cert ?? "", "base64").toString();
  assert.is(new X509Certificate(pem).ca, true);
});

test("a deleted Mesh default is made again", async () => {
  const before = await found(mesh("default"));
  await objects.delete(mesh("default"));
  const again = await eventually("there is another one", async () => {
    const current = await objects.find(mesh("default"));
    return current !== undefined && current.metadata.uid !== before.metadata.uid && current;
  });
  await eventually("its Secret belongs to the new one", async () => {
    const secret = await objects.find(authority("default"));
    return secret?.metadata.ownerReferences?.[0]?.uid === again.metadata.uid;
  });
  await restart();
});

test("a certificate authority that was deleted is made again, and the log says that the root is another one", async () => {
  const before = await found<Secret>(authority("default"));
  await objects.delete(authority("default"));
  await eventually("there is another one", async () => {
    const current = await objects.find<Secret>(authority("default"));
    return current !== undefined && current.data.value !== before.data.value && current.metadata.ownerReferences;
  });
  await eventually("the log says so", () => running?.output().includes("the mesh has a new root certificate"));
});

const everyone = [{ match: { service: "*" } }];
const permission = { rules: [{ sources: everyone, destinations: everyone }] };
const log = { rules: [{ sources: everyone, destinations: everyone, conf: {} }] };
const template = { selectors: [{ match: { service: "*" } }], conf: {} };

async function makeMesh(name: string): Promise<void> {
  await objects.create(kumaPath("meshes"), {
    apiVersion: "kuma.io/v1alpha1",
    kind: "Mesh",
    metadata: { name },
    spec: {},
  });
  await found(authority(name));
}

async function make(kind: string, plural: string, namespace: string, mesh: string, name: string, spec: unknown) {
  const object = { apiVersion: "kuma.io/v1alpha1", kind, mesh, metadata: { name }, spec };
  await objects.create(kumaPath(plural, namespace), object);
  return `${kumaPath(plural, namespace)}/${name}`;
}

test("a Mesh takes its certificate authority and its policies with it, in all namespaces, and nothing of others", async () => {
  await objects.namespace("one");
  await objects.namespace("two");
  await makeMesh("m2");
  const policies = [
    await make("TrafficPermission", "trafficpermissions", "one", "m2", "a", permission),
    await make("TrafficLog", "trafficlogs", "two", "m2", "b", log),
    await make("ProxyTemplate", "proxytemplates", "two", "m2", "c", template),
  ];
  const others = [
    await make("TrafficPermission", "trafficpermissions", "one", "default", "d", permission),
    await make("TrafficPermission", "trafficpermissions", "one", "later", "e", permission),
  ];
  await objects.delete(mesh("m2"));
  for (const place of [...policies, authority("m2")]) await objects.gone(place);
  for (const place of others) assert.ok(await objects.find(place), place);
});

test("what a Mesh left that was deleted while no control plane ran is deleted at the next start, and nothing else", async () => {
  await makeMesh("m3");
  const policy = await make("TrafficPermission", "trafficpermissions", "one", "m3", "f", permission);
  const other = await make("TrafficPermission", "trafficpermissions", "one", "not-yet", "g", permission);
  await running?.stop();
  await objects.delete(mesh("m3"));
  await restart();
  await objects.gone(policy);
  assert.ok(await objects.find(other), "a policy that came before its mesh stays");
  assert.ok(await objects.find(`${kumaPath("trafficpermissions", "one")}/d`));
});

test("it is ready, and no request was forbidden", async () => {
  const health = await eventually("it runs", () => running && healthOf(running));
  await eventually("it is ready", async () => (await fetch(`${health}/ready`)).status === 200);
  assert.not.match(running?.output() ?? "", /forbidden|status 403/i);
});

test("it ends within two seconds of SIGTERM while the API server hangs", async () => {
  const stopping = running;
  running = undefined;
  api.apiServer.freeze();
  try {
    const at = performance.now();
    assert.is(await stopping?.stop(), 0);
    const took = performance.now() - at;
    assert.ok(took < 2_000, `${took} ms`);
  } finally {
    api.apiServer.thaw();
  }
});

test.run();
