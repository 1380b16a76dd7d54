// deadline: 400 s
import * as assert from "uvu/assert";
import { eventually } from "../support/eventually.js";
import { suite } from "../support/suite.js";
import { type ApiServer, startApiServer } from "./api-server.js";
import { installKuma, type KumaInstallation } from "./kuma-cp.js";
import { type ApiObject, corePath, inboundsOf, kumaPath, objectsOf, outboundsOf } from "./objects.js";

const test = suite("Dataplanes of pods", { needs: "kubernetes" });

let api: ApiServer;
let kuma: KumaInstallation;
let objects: ReturnType<typeof objectsOf>;

test.before(async () => {
  api = await startApiServer();
  objects = objectsOf(api);
  kuma = await installKuma(api);
  await objects.namespace("demo");
  await objects.namespace("other");
});
test.after(async () => {
  if (process.env.SHOW_LOG !== undefined) console.log(kuma?.kumaCp.output());
  await kuma?.stop();
  await api?.stop();
});

const dataplanePath = (namespace: string, name: string) => `${kumaPath("dataplanes", namespace)}/${name}`;
const podPath = (namespace: string, name: string) => `${corePath("pods", namespace)}/${name}`;
const servicePath = (namespace: string, name: string) => `${corePath("services", namespace)}/${name}`;

test("an injected pod behind a Service gets a Dataplane that belongs to it", async () => {
  const ports = [{ containerPort: 8080 }, { name: "metrics", containerPort: 6060 }];
  await objects.service("demo", "web", {
    selector: { app: "web" },
    ports: [
      { name: "http", port: 80, targetPort: 8080 },
      { name: "metrics", port: 6061, targetPort: "metrics" },
      { name: "dns", port: 53, targetPort: 53, protocol: "UDP" },
    ],
  });
  const pod = await objects.pod("demo", "p1", { labels: { app: "web", empty: "", version: "v1" }, ports });
  const dataplane = await objects.dataplane("is made", "demo", "p1");
  assert.is(dataplane.mesh, "default");
  assert.equal(
    dataplane.spec.networking.inbound.map(({ interface: at, tags }) => [at, tags]),
    [
      ["10.1.0.5:8080:8080", { app: "web", version: "v1", service: "web.demo.svc:80" }],
      ["10.1.0.5:6060:6060", { app: "web", version: "v1", service: "web.demo.svc:6061" }],
    ],
  );
  assert.equal(dataplane.spec.networking.transparentProxying, { redirectPort: 15001 });
  const [owner] = dataplane.metadata.ownerReferences ?? [];
  assert.equal([owner?.kind, owner?.name, owner?.uid, owner?.controller], ["Pod", "p1", pod.metadata.uid, true]);
  const { body } = await api.request("GET", `${kumaPath("meshes")}/default`);
  assert.is((body as ApiObject).metadata.name, "default");
});

test("its making is an event of the pod", async () => {
  await eventually("the event is there", async () => {
    const events = await objects.list<{ reason: string; regarding: { name: string } }>(
      "/apis/events.k8s.io/v1/namespaces/demo/events",
    );
    return events.some(({ reason, regarding }) => reason === "CreatedKumaDataplane" && regarding.name === "p1");
  });
});

test("a pod without a sidecar, an address or a Service has no Dataplane, and gets one when it has", async () => {
  await objects.pod("demo", "plain", { labels: { app: "web" }, injected: false, ip: "10.1.0.20" });
  await objects.pod("demo", "lonely", { labels: { app: "lonely" }, ip: "10.1.0.21" });
  await objects.pod("demo", "pending", { labels: { app: "web" }, ip: "" });
  await objects.service("demo", "manual", { ports: [{ port: 80 }] });
  await objects.pod("demo", "last", { labels: { app: "web" }, ip: "10.1.0.22" });
  // It came after the others, which are worked on in order.
  await objects.dataplane("is made", "demo", "last");
  for (const name of ["plain", "lonely", "pending"]) {
    assert.is(await objects.find(dataplanePath("demo", name)), undefined, name);
  }
  await objects.patch(`${podPath("demo", "pending")}/status`, {
    status: { phase: "Pending", podIP: "10.1.0.23", podIPs: [{ ip: "10.1.0.23" }] },
  });
  await objects.dataplane("is made", "demo", "pending");
  await objects.service("demo", "company", { selector: { app: "lonely" }, ports: [{ port: 81, targetPort: 9 }] });
  const lonely = await objects.dataplane("is made", "demo", "lonely");
  assert.equal(inboundsOf(lonely), ["10.1.0.21:9:9 company.demo.svc:81"]);
});

test("outbounds lead to the services of the same mesh in all namespaces, sorted, headless ones left out", async () => {
  const db = await objects.service("other", "db", { selector: { app: "db" }, ports: [{ port: 5432 }] });
  await objects.service("other", "headless", { selector: { app: "db" }, clusterIP: "None", ports: [{ port: 5433 }] });
  await objects.service("other", "foreign", { selector: { app: "foreign" }, ports: [{ port: 7 }] });
  await objects.pod("other", "db", { ip: "10.1.0.30" });
  await objects.pod("other", "foreign", { ip: "10.1.0.31", annotations: { "kuma.io/mesh": "pilot" } });
  const expected = `${db.spec.clusterIP}:5432 db.other.svc:5432`;
  const dataplane = await objects.dataplane("has it", "demo", "p1", (found) => outboundsOf(found).includes(expected));
  const services = outboundsOf(dataplane).map((outbound) => outbound.split(" ")[1]);
  assert.equal(services, [...services].sort());
  assert.not(JSON.stringify(dataplane.spec).includes("None"));
  assert.not(services.includes("headless.other.svc:5433"));
  assert.not(services.includes("foreign.other.svc:7"));
  const foreign = await objects.dataplane("has its own", "other", "foreign", (found) => found.mesh === "pilot");
  assert.equal(
    outboundsOf(foreign).map((outbound) => outbound.split(" ")[1]),
    ["foreign.other.svc:7"],
  );
});

test("a changed targetPort changes the inbound", async () => {
  await objects.patch(servicePath("other", "db"), { spec: { ports: [{ port: 5432, targetPort: 5555 }] } });
  await objects.dataplane("follows", "other", "db", (found) =>
    inboundsOf(found).includes("10.1.0.30:5555:5555 db.other.svc:5432"),
  );
});

test("a Service that goes takes its inbounds and everyone's outbounds with it, the last one the Dataplane", async () => {
  await objects.delete(servicePath("other", "headless"));
  await objects.dataplane("has one inbound", "other", "db", (found) => inboundsOf(found).length === 1);
  await objects.delete(servicePath("other", "db"));
  await objects.gone(dataplanePath("other", "db"));
  await objects.dataplane("has no outbound to it", "demo", "p1", (found) =>
    outboundsOf(found).every((outbound) => !outbound.includes("db.other")),
  );
  await objects.service("other", "db", { selector: { app: "db" }, ports: [{ port: 5432 }] });
  await objects.dataplane("is back", "other", "db");
});

test("what users do to a Dataplane of a pod is undone", async () => {
  const before = await objects.dataplane("is there", "other", "db");
  await objects.delete(dataplanePath("other", "db"));
  const again = await objects.dataplane(
    "is back",
    "other",
    "db",
    (found) => found.metadata.uid !== before.metadata.uid,
  );
  const inbound = [{ interface: "10.9.9.9:1:1", tags: { service: "stolen" } }];
  await objects.patch(dataplanePath("other", "db"), { mesh: "pilot", spec: { networking: { inbound } } });
  const reverted = await objects.dataplane(
    "is reverted",
    "other",
    "db",
    (found) => found.mesh === "default" && inboundsOf(found).includes("10.1.0.30:5432:5432 db.other.svc:5432"),
  );
  assert.is(reverted.metadata.uid, again.metadata.uid);
  await objects.patch(dataplanePath("other", "db"), { metadata: { ownerReferences: null } });
  await objects.dataplane("is owned again", "other", "db", (found) => found.metadata.ownerReferences?.length === 1);
});

test("the Dataplane of a pod that ended is deleted, and so is that of a deleted pod with its insight", async () => {
  await objects.pod("demo", "job", { labels: { app: "web" }, ip: "10.1.0.40" });
  await objects.dataplane("is made", "demo", "job");
  await objects.patch(`${podPath("demo", "job")}/status`, { status: { phase: "Succeeded" } });
  await objects.gone(dataplanePath("demo", "job"));
  await objects.pod("demo", "short", { labels: { app: "web" }, ip: "10.1.0.41" });
  await objects.dataplane("is made", "demo", "short");
  const token = await api.accountToken("kuma-system", "kuma-control-plane");
  const insight = {
    apiVersion: "kuma.io/v1alpha1",
    kind: "DataplaneInsight",
    mesh: "default",
    metadata: { name: "short" },
    status: { subscriptions: [{ id: "1" }] },
  };
  const { status } = await api.request("POST", kumaPath("dataplaneinsights", "demo"), insight, { token });
  assert.is(status, 201);
  await objects.delete(podPath("demo", "short"));
  await objects.gone(dataplanePath("demo", "short"));
  await objects.gone(`${kumaPath("dataplaneinsights", "demo")}/short`);
});

test("a pod that loses its annotation loses its Dataplane", async () => {
  await objects.pod("demo", "opted-out", { labels: { app: "web" }, ip: "10.1.0.42" });
  await objects.dataplane("is made", "demo", "opted-out");
  await objects.patch(podPath("demo", "opted-out"), {
    metadata: { annotations: { "kuma.io/sidecar-injected": null } },
  });
  await objects.gone(dataplanePath("demo", "opted-out"));
});

test("a pod that is made again by the same name has a Dataplane with its new uid and address", async () => {
  await objects.pod("demo", "set-0", { labels: { app: "web" }, ip: "10.1.0.50" });
  await objects.dataplane("is made", "demo", "set-0");
  await objects.delete(podPath("demo", "set-0"));
  const again = await objects.pod("demo", "set-0", { labels: { app: "web" }, ip: "10.1.0.51" });
  const dataplane = await objects.dataplane("follows", "demo", "set-0", (found) =>
    inboundsOf(found).some((inbound) => inbound.startsWith("10.1.0.51:")),
  );
  assert.equal(
    dataplane.metadata.ownerReferences?.map(({ uid }) => uid),
    [again.metadata.uid],
  );
});

test("a Dataplane that belongs to something else is left alone, and the pod has an event that says so", async () => {
  const metadata = {
    name: "taken",
    ownerReferences: [
      { apiVersion: "v1", kind: "ConfigMap", name: "x", uid: "00000000-0000-0000-0000-000000000001", controller: true },
    ],
  };
  // The garbage collector would delete it, since its owner does not exist.
  const owner = await objects.create(corePath("configmaps", "demo"), { metadata: { name: "x" } });
  const [reference] = metadata.ownerReferences;
  const ownerReferences = [{ ...reference, uid: owner.metadata.uid }];
  const spec = { networking: { inbound: [{ interface: "10.1.0.60:1:1", tags: { service: "own" } }] } };
  await objects.create(kumaPath("dataplanes", "demo"), {
    apiVersion: "kuma.io/v1alpha1",
    kind: "Dataplane",
    mesh: "default",
    metadata: { ...metadata, ownerReferences },
    spec,
  });
  await objects.pod("demo", "taken", { labels: { app: "web" }, ip: "10.1.0.61" });
  await eventually("the event is there", async () => {
    const events = await objects.list<{ reason: string; note: string; regarding: { name: string } }>(
      "/apis/events.k8s.io/v1/namespaces/demo/events",
    );
    return events.some(
      ({ reason, note, regarding }) =>
        reason === "FailedToGenerateKumaDataplane" && regarding.name === "taken" && note.includes('ConfigMap "x"'),
    );
  });
  const dataplane = await objects.dataplane("is unchanged", "demo", "taken");
  assert.equal(inboundsOf(dataplane), ["10.1.0.60:1:1 own"]);
  await objects.delete(dataplanePath("demo", "taken"));
  await objects.dataplane(
    "is that of the pod",
    "demo",
    "taken",
    (found) => inboundsOf(found)[0]?.startsWith("10.1.0.61:") === true,
  );
});

test("a Dataplane that can't be decoded does not stop those of other pods", async () => {
  const configuration = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations";
  const [webhooks] = await objects.list<ApiObject & { webhooks: unknown }>(configuration);
  if (webhooks === undefined) throw new Error("there are no webhooks");
  await objects.delete(`${configuration}/${webhooks.metadata.name}`);
  const broken = { networking: { inbound: "none of this is a list", outbound: [7, null] } };
  await eventually("the API server takes it", async () => {
    const made = await api.request("POST", kumaPath("dataplanes", "demo"), {
      apiVersion: "kuma.io/v1alpha1",
      kind: "Dataplane",
      metadata: { name: "broken" },
      spec: broken,
    });
    return made.status === 201;
  });
  await objects.pod("demo", "neighbour", { labels: { app: "web" }, ip: "10.1.0.70" });
  await objects.dataplane("is made", "demo", "neighbour");
  const { metadata, ...others } = webhooks;
  await objects.create(configuration, { ...others, metadata: { name: metadata.name } });
});

test("in the steady state nothing is written, and no request was forbidden", async () => {
  const versions = async () =>
    JSON.stringify(
      (await objects.list(kumaPath("dataplanes"))).map(({ metadata }) => [metadata.name, metadata.resourceVersion]),
    );
  const unchangedFor = async (milliseconds: number) => {
    const before = await versions();
    const at = performance.now();
    await eventually("the time passes", () => performance.now() - at > milliseconds);
    return (await versions()) === before;
  };
  await eventually("the Dataplanes settle", () => unchangedFor(1_000));
  assert.ok(await unchangedFor(15_000));
  assert.not.match(kuma.kumaCp.output(), /forbidden|status 403/i);
});

test("an API server that restarts costs no Dataplane, and what changed meanwhile is taken up", async () => {
  const uids = async () =>
    (await objects.list(kumaPath("dataplanes"))).map(({ metadata }) => `${metadata.name} ${metadata.uid}`).sort();
  const before = await uids();
  await api.apiServer.kill();
  api.apiServer.start();
  await api.ready();
  await objects.pod("demo", "later", { labels: { app: "web" }, ip: "10.1.0.80" });
  await objects.dataplane("is made", "demo", "later");
  assert.equal(
    (await uids()).filter((dataplane) => !dataplane.startsWith("later ")),
    before,
  );
});

test.run();
