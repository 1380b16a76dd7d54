// deadline: 400 s
import * as assert from "uvu/assert";
import { eventually } from "../support/eventually.js";
import { startProgram } from "../support/executable.js";
import { type Finding, openCheck } from "../support/kumactl-check.js";
import { suite } from "../support/suite.js";
import { type ApiServer, startApiServer } from "./api-server.js";
import { installCrds, installKuma, type KumaInstallation, startKumaCp, webhookConfigurations } from "./kuma-cp.js";
import { corePath, kumaPath, objectsOf } from "./objects.js";

const test = suite("kumactl check on Kubernetes", { needs: "kubernetes" });

let api: ApiServer;
let kuma: KumaInstallation;
let objects: ReturnType<typeof objectsOf>;
let check: ReturnType<typeof openCheck>;

const system = "kuma-system";
const deploymentPath = (name: string) => `/apis/apps/v1/namespaces/${system}/deployments/${name}`;
const webhookPath = (plural: string, name: string) => `/apis/admissionregistration.k8s.io/v1/${plural}/${name}`;
const validatorPath = webhookPath("validatingwebhookconfigurations", "kuma-validating-webhook-configuration");

/** As the controllers of a cluster with nodes would report it. */
const report = (name: string, available: number) =>
  objects.patch(`${deploymentPath(name)}/status`, {
    status: { replicas: 1, readyReplicas: available, availableReplicas: available, observedGeneration: 1 },
  });

test.before(async () => {
  api = await startApiServer({
    // Without nodes no Deployment would become available; the tests say what their controller would.
    controllers: "all",
    controllerFlags: [
      "--controllers=namespace-controller,serviceaccount-controller,serviceaccount-token-controller,garbage-collector-controller",
    ],
  });
  objects = objectsOf(api);
  check = openCheck({ KUBECONFIG: api.kubeconfig, HOME: "/nonexistent" });
  const printing = startProgram("kumactl", ["install", "control-plane"]);
  assert.is(await printing.ended, 0, printing.output());
  await api.apply(printing.output());
  kuma = await installKuma(api);
  await objects.namespace("demo");
  await report("kuma-control-plane", 1);
  await report("kuma-injector", 1);
});
test.after(async () => {
  if (process.env.SHOW_LOG !== undefined) console.log(kuma?.kumaCp.output());
  check?.close();
  await kuma?.stop();
  await api?.stop();
});

const ofKubernetes = (findings: readonly Finding[]) => findings.filter(({ id }) => id.startsWith("kubernetes-"));
const find = (id: string, args: readonly string[] = []) => check.find(kuma.kumaCp.api, `kubernetes-${id}`, args);

/** Waits for this result of a check; what the control plane finds out it keeps for some seconds. */
const until = (id: string, result: Finding["result"]) =>
  check.until(kuma.kumaCp.api, `kubernetes-${id}`, result, 60_000);

test("an installation as kumactl prints it passes all checks", async () => {
  const found = ofKubernetes(await check.findings(kuma.kumaCp.api));
  assert.equal(
    found.map(({ id, result, reason }) => [id, result, reason ?? ""]),
    [
      ..."report permissions leader webhooks certificates objects api crds deployments versions dataplanes pods".split(
        " ",
      ),
    ].map((id) => [`kubernetes-${id}`, "success", ""]),
  );
  const details = new Map(found.map(({ id, detail }) => [id, detail]));
  assert.is(details.get("kubernetes-report"), "namespace kuma-system");
  assert.match(details.get("kubernetes-leader") ?? "", /, which answers here$/);
  assert.match(details.get("kubernetes-api") ?? "", /^https:\/\/127\.0\.0\.1:\d+, v1\./);
});

test("a pod with a sidecar that no Service selects is named", async () => {
  await objects.pod("demo", "lonely", { ip: "10.1.0.9" });
  const { result, reason, fix } = (await find("dataplanes")) ?? {};
  assert.is(result, "warning");
  assert.is(
    reason,
    "pod demo/lonely has a sidecar and no Dataplane, as no Service selects it: its sidecar gets no configuration",
  );
  assert.match(fix ?? "", /make a Service/);
  await objects.service("demo", "lonely", { selector: { app: "lonely" }, ports: [{ port: 80, targetPort: 8080 }] });
  await until("dataplanes", "success");
});

test("a pod of another mesh is not named when one mesh is checked", async () => {
  await objects.pod("demo", "other", { ip: "10.1.0.10", annotations: { "kuma.io/mesh": "other" } });
  assert.match((await find("dataplanes"))?.reason ?? "", /demo\/other/);
  assert.is((await find("dataplanes", ["--mesh=default"]))?.result, "success");
  await objects.delete(`${corePath("pods", "demo")}/other`);
});

test("a pod that has missed its sidecar is named, one that wants none is not", async () => {
  await objects.namespace("labelled");
  await objects.patch(corePath("namespaces/labelled"), {
    metadata: { labels: { "kuma.io/sidecar-injection": "enabled" } },
  });
  await objects.pod("labelled", "missed", { injected: false });
  await objects.pod("labelled", "out", { injected: false, annotations: { "kuma.io/sidecar-injection": "disabled" } });
  const { result, reason } = (await find("injection")) ?? {};
  assert.is(result, "warning");
  assert.is(reason, "pod labelled/missed has no sidecar, though its namespace has the label for it");
});

test("a CRD of another version is a warning, and says what differs", async () => {
  const crd = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/trafficlogs.kuma.io";
  await api.request(
    "PATCH",
    crd,
    [{ op: "replace", path: "/spec/versions/0/additionalPrinterColumns/0/jsonPath", value: ".a" }],
    {
      contentType: "application/json-patch+json",
    },
  );
  const { result, reason } = (await find("crds")) ?? {};
  assert.is(result, "warning");
  assert.is(
    reason,
    'the CRD trafficlogs.kuma.io is not as this version has it: spec.versions[0].additionalPrinterColumns[0].jsonPath is ".a" and should be ".mesh"',
  );
  await installCrds(api);
  assert.is((await find("crds"))?.result, "success");
});

test("an injector that is away, or of another version, is named", async () => {
  await report("kuma-injector", 0);
  assert.match((await find("deployments"))?.reason ?? "", /^0 of 1 instances of Deployment kuma-system\/kuma-injector/);
  await report("kuma-injector", 1);
  assert.is((await find("deployments"))?.result, "success");
  const image = "localhost/kuma-injector:0.2.9";
  await api.kubectl(["set", "image", "-n", system, "deployment/kuma-injector", `kuma-injector=${image}`]);
  const { result, reason } = (await find("versions")) ?? {};
  assert.is(result, "warning");
  assert.match(
    reason ?? "",
    /the injector has the image localhost\/kuma-injector:0\.2\.9, the control plane localhost\/kuma-cp:/,
  );
});

test("a webhook whose caBundle does not fit, and one that is missing, are named", async () => {
  const ca = Buffer.from(api.authority).toString("base64");
  const value = [{ op: "replace", path: "/webhooks/0/clientConfig/caBundle", value: ca }];
  await api.request("PATCH", validatorPath, value, { contentType: "application/json-patch+json" });
  const { reason = "" } = await until("webhooks", "error");
  assert.match(
    reason,
    /^webhook \S*validator\.kuma-admission\.kuma\.io \(kuma-validating-webhook-configuration\) of https:\/\/127\.0\.0\.1:\d+: its certificate, as the server has it, is rejected: no certificate in the caBundle has issued it$/,
  );
  await objects.delete(validatorPath);
  const missing = await eventually("the missing one is named", async () => {
    const found = await find("webhooks");
    return (found?.reason ?? "").includes("does not exist") && found;
  });
  assert.is(missing.reason, "the configuration kuma-validating-webhook-configuration: it does not exist");
});

test("an object that came while the webhook was away is named, as an event and in the log as well", async () => {
  // The validating webhook is still missing here.
  await objects.create(kumaPath("trafficpermissions", "demo"), {
    apiVersion: "kuma.io/v1alpha1",
    kind: "TrafficPermission",
    mesh: "default",
    metadata: { name: "odd" },
    spec: { sources: "everyone" },
  });
  const { reason } = await until("objects", "error");
  assert.match(reason ?? "", /^TrafficPermission demo\/odd has no effect: .*sources/);
  await eventually("the event is there", async () => {
    const events = await objects.list<{ type: string; note: string; regarding: { name: string; kind: string } }>(
      "/apis/events.k8s.io/v1/namespaces/demo/events",
    );
    return events.some(
      ({ type, note, regarding }) =>
        type === "Warning" &&
        regarding.kind === "TrafficPermission" &&
        regarding.name === "odd" &&
        note.includes("sources"),
    );
  });
  await objects.create(kumaPath("dataplanes", "demo"), {
    apiVersion: "kuma.io/v1alpha1",
    kind: "Dataplane",
    mesh: "default",
    metadata: { name: "half" },
    spec: { networking: { inbound: [{ interface: "nonsense", tags: { service: "half" } }] } },
  });
  await eventually("what is only invalid is named, too", async () => {
    const named = (await find("objects"))?.reason ?? "";
    return /Dataplane demo\/half has effect only where it is valid: networking\.inbound\[0\]\.interface: /.test(named);
  });
  await objects.delete(`${kumaPath("dataplanes", "demo")}/half`);
  const lines = kuma.kumaCp
    .output()
    .split("\n")
    .filter((line) => line.includes("an object is skipped"));
  assert.is(lines.length, 1, lines.join("\n"));
  await objects.delete(`${kumaPath("trafficpermissions", "demo")}/odd`);
  await until("objects", "success");
  await api.apply(webhookConfigurations(kuma.admissionPort, kuma.certificate));
  await until("webhooks", "success");
});

test("a permission that the control plane lacks is named", async () => {
  const role = "/apis/rbac.authorization.k8s.io/v1/clusterroles/kuma:control-plane";
  const before = await objects.find<{ rules: readonly { apiGroups: readonly string[] }[] }>(role);
  const rules = before?.rules.filter(({ apiGroups }) => !apiGroups.includes("events.k8s.io"));
  await objects.patch(role, { rules });
  // One that has not asked yet.
  const another = await startKumaCp(api, { certificate: kuma.certificate, kubeconfig: kuma.kubeconfig });
  try {
    const { reason } = await check.until(another.api, "kubernetes-permissions", "error");
    assert.is(reason, "it may not create events.events.k8s.io\nit may not patch events.events.k8s.io");
    const detail = (await check.find(another.api, "kubernetes-leader"))?.detail ?? "";
    assert.ok(detail !== "" && !detail.includes("answers here"), detail);
  } finally {
    await another.stop();
    await objects.patch(role, { rules: before?.rules });
  }
});

test("what the user may not read is a warning, and the rest is checked", async () => {
  await objects.create(corePath("serviceaccounts", "demo"), { metadata: { name: "nobody" } });
  const kubeconfig = api.writeKubeconfig(await api.accountToken("demo", "nobody"));
  const args = [`--kubeconfig=${kubeconfig}`];
  const found = new Map((await check.findings(kuma.kumaCp.api, args)).map((one) => [one.id, one]));
  for (const id of ["crds", "deployments", "versions", "dataplanes", "injection", "pods"]) {
    const { result, reason } = found.get(`kubernetes-${id}`) ?? {};
    assert.is(result, "warning", id);
    assert.match(reason ?? "", /^this is not checked: The API server does not permit a request: .*forbidden/, id);
  }
  assert.is(found.get("kubernetes-permissions")?.result, "success");
});

test("without credentials the control plane's own findings are shown, and what is not checked", async () => {
  const own = openCheck({ KUBECONFIG: "", HOME: "/nonexistent" });
  try {
    const found = ofKubernetes(await own.findings(kuma.kumaCp.api));
    const { result, reason } = found.find(({ id }) => id === "kubernetes-api") ?? {};
    assert.is(result, "warning");
    assert.match(
      reason ?? "",
      /^the CRDs, Deployments and pods of the cluster are not checked: There are no credentials/,
    );
    assert.not.ok(found.some(({ id }) => id === "kubernetes-crds"));
    assert.is(found.find(({ id }) => id === "kubernetes-leader")?.result, "success");
  } finally {
    own.close();
  }
});

test("while the control plane is down, the cluster of KUBECONFIG is checked", async () => {
  const found = ofKubernetes(await check.findings("http://127.0.0.1:1"));
  assert.equal(
    found.map(({ id }) => id),
    "api crds deployments versions dataplanes injection pods".split(" ").map((id) => `kubernetes-${id}`),
  );
  assert.is(found.find(({ id }) => id === "kubernetes-crds")?.result, "success");
});

test.run();
