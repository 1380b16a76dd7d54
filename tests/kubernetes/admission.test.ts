// deadline: 300 s
import https from "node:https";
import * as assert from "uvu/assert";
import { eventually } from "../support/eventually.js";
import { put, startControlPlane } from "../support/executable.js";
import { presented } from "../support/secret-client.js";
import { suite } from "../support/suite.js";
import { type ApiServer, startApiServer } from "./api-server.js";
import { installKuma, type KumaInstallation } from "./kuma-cp.js";
import { type ApiObject, kumaPath, objectsOf } from "./objects.js";

const test = suite("admission of custom resources", { needs: "kubernetes" });

let api: ApiServer;
let kuma: KumaInstallation;
let objects: ReturnType<typeof objectsOf>;

test.before(async () => {
  api = await startApiServer();
  objects = objectsOf(api);
  kuma = await installKuma(api);
  await objects.namespace("demo");
});
test.after(async () => {
  if (process.env.SHOW_LOG !== undefined) console.log(kuma?.kumaCp.output());
  await kuma?.stop();
  await api?.stop();
});

const everyone = [{ match: { service: "*" } }];
const permission = { rules: [{ sources: everyone, destinations: everyone }] };

interface Status {
  readonly message: string;
  readonly reason: string;
  readonly code: number;
  readonly details?: { readonly causes?: readonly { readonly field: string; readonly message: string }[] };
}

const object = (kind: string, name: string, spec: unknown, more: object = {}) => ({
  apiVersion: "kuma.io/v1alpha1",
  kind,
  metadata: { name },
  spec,
  ...more,
});

const validator = 'admission webhook "validator.kuma-admission.kuma.io" denied the request: ';

test("a Mesh gets the built-in certificate authority, and one that has it is stored as it is", async () => {
  const empty = await objects.create(kumaPath("meshes"), object("Mesh", "empty", {}));
  assert.equal(empty.spec, { mtls: { ca: { builtin: {} } } });
  const spec = { logging: { backends: [] }, mtls: { ca: { builtin: {} }, enabled: false } };
  const whole = await objects.create(kumaPath("meshes"), object("Mesh", "whole", spec));
  assert.equal(whole.spec, spec);
});

test("what is invalid is denied with the words and the causes of the HTTP API", async () => {
  const universal = await startControlPlane();
  try {
    const cases = [
      ["TrafficPermission", "trafficpermissions", "traffic-permissions", { rules: [{ destinations: everyone }] }],
      ["Dataplane", "dataplanes", "dataplanes", { networking: { inbound: [{ interface: "bad", tags: { a: "" } }] } }],
      ["TrafficLog", "trafficlogs", "traffic-logs", { rules: "all" }],
    ] as const;
    for (const [kind, plural, path, spec] of cases) {
      const response = await fetch(`${universal.api}/meshes/default/${path}/one`, {
        method: "PUT",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ type: kind, mesh: "default", name: "one", ...spec }),
      });
      const { causes } = (await response.json()) as { causes: { field: string; message: string }[] };
      const { status, body } = await api.request("POST", kumaPath(plural, "demo"), object(kind, "one", spec));
      const denial = body as Status;
      assert.equal([status, denial.code, denial.reason], [422, 422, "Invalid"], kind);
      assert.is(denial.message, validator + causes.map(({ field, message }) => `${field}: ${message}`).join("; "));
      assert.equal(
        denial.details?.causes?.map(({ field, message }) => ({ field, message })),
        causes,
      );
    }
    assert.is(await put(universal.api, "/meshes/m", { type: "Mesh", name: "m" }), 201);
  } finally {
    await universal.stop();
  }
});

test("valid resources pass, an update to an invalid one does not, and deletion always does", async () => {
  const place = kumaPath("trafficpermissions", "demo");
  await objects.create(place, object("TrafficPermission", "valid", permission));
  const patch = { spec: { rules: [{ destinations: everyone }] } };
  const denied = await api.request("PATCH", `${place}/valid`, patch, { contentType: "application/merge-patch+json" });
  assert.is(denied.status, 422);
  await objects.delete(`${place}/valid`);
});

test("kubectl shows a warning for a misspelt field, which is kept, and for a mesh that does not exist", async () => {
  const spec = { ...permission, rulez: 1 };
  const input = JSON.stringify(object("TrafficPermission", "misspelt", spec, { mesh: "later" }));
  const { status, stderr } = await api.tryKubectl(["apply", "-n", "demo", "-f", "-"], { input });
  assert.is(status, 0, stderr);
  assert.match(stderr, 'Warning: spec.rulez: unknown field, did you mean "rules"?');
  assert.match(stderr, 'Warning: there is no Mesh "later" yet');
  const stored = await objects.find(`${kumaPath("trafficpermissions", "demo")}/misspelt`);
  assert.equal(stored?.spec, spec);
});

test("kubectl shows the denial in one line", async () => {
  const input = JSON.stringify(object("TrafficPermission", "bad", { rules: [{ destinations: everyone }] }));
  const { status, stderr } = await api.tryKubectl(["apply", "-n", "demo", "-f", "-"], { input });
  assert.is(status, 1);
  assert.match(stderr, 'The TrafficPermission "bad" is invalid: rules[0].sources: ');
});

test("a dry run is validated, too, and stores nothing", async () => {
  const dryRun = async (spec: unknown) => {
    const place = `${kumaPath("trafficpermissions", "demo")}?dryRun=All`;
    return (await api.request("POST", place, object("TrafficPermission", "dry", spec))).status;
  };
  assert.equal([await dryRun(permission), await dryRun({ rules: 1 })], [201, 422]);
  assert.is(await objects.find(`${kumaPath("trafficpermissions", "demo")}/dry`), undefined);
});

test("a Mesh whose name is no DNS label is denied", async () => {
  const { status, body } = await api.request("POST", kumaPath("meshes"), object("Mesh", "a.b", {}));
  assert.is(status, 422);
  assert.match((body as Status).message, "metadata.name: has to be a DNS label");
});

test("the status of a Dataplane is written by the control plane only", async () => {
  const insight = { apiVersion: "kuma.io/v1alpha1", kind: "DataplaneInsight", metadata: { name: "one" }, status: {} };
  const place = kumaPath("dataplaneinsights", "demo");
  const denied = await api.request("POST", place, insight);
  assert.is(denied.status, 403);
  assert.match((denied.body as Status).message, "system:serviceaccount:kuma-system:kuma-control-plane");
  const token = await api.accountToken("kuma-system", "kuma-control-plane");
  assert.is((await api.request("POST", place, insight, { token })).status, 201);
  const labels = { metadata: { labels: { a: "b" } } };
  const merge = { contentType: "application/merge-patch+json" };
  assert.is((await api.request("PATCH", `${place}/one`, labels, merge)).status, 200);
  const forged = { status: { subscriptions: [{ id: "1" }] } };
  assert.is((await api.request("PATCH", `${place}/one`, forged, merge)).status, 403);
  await objects.delete(`${place}/one`);
});

/** Sends a request to the webhook server itself. */
function post(place: string, body: string, type = "application/json"): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const options = { method: "POST", ca: kuma.certificate.authority.cert, headers: { "content-type": type } };
    const request = https.request(`https://127.0.0.1:${kuma.admissionPort}${place}`, options, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (chunk: string) => {
        text += chunk;
      });
      response.on("end", () => resolve({ status: response.statusCode ?? 0, text }));
    });
    request.on("error", reject);
    request.end(body);
  });
}

const review = (kind: string, uid: string, reviewed: unknown = {}) => ({
  apiVersion: "admission.k8s.io/v1",
  kind: "AdmissionReview",
  request: {
    uid,
    operation: "CREATE",
    kind: { group: "kuma.io", version: "v1alpha1", kind },
    name: "one",
    namespace: "demo",
    userInfo: { username: "alice" },
    object: reviewed,
  },
});

const paths = ["/validate-kuma-io-v1alpha1", "/default-kuma-io-v1alpha1-mesh"];

for (const place of paths) {
  test(`${place} echoes the uid, answers requests at the same time, and refuses what is no AdmissionReview`, async () => {
    const uids = ["first", "second"];
    const sent = uids.map((uid) => post(`${place}?timeout=10s`, JSON.stringify(review("Mesh", uid, { spec: {} }))));
    const answers = (await Promise.all(sent)).map(
      ({ text }) => JSON.parse(text) as ApiObject & { response: { uid: string } },
    );
    assert.equal(
      answers.map(({ response }) => response.uid),
      uids,
    );
    for (const body of [
      "",
      "garbage",
      "[]",
      "{}",
      JSON.stringify({ ...review("Mesh", "u"), apiVersion: "admission.k8s.io/v1beta1" }),
    ]) {
      assert.is((await post(place, body)).status, 400, body);
    }
  });
}

test("an unknown kind is denied with 400, and a body over 8 MiB is 413", async () => {
  const { text } = await post("/validate-kuma-io-v1alpha1", JSON.stringify(review("Nothing", "u")));
  const { response } = JSON.parse(text) as { response: { allowed: boolean; status: { code: number } } };
  assert.equal([response.allowed, response.status.code], [false, 400]);
  const huge = await post(
    "/validate-kuma-io-v1alpha1",
    JSON.stringify(review("Mesh", "u", "x".repeat(9 * 1024 * 1024))),
  );
  assert.is(huge.status, 413);
});

test("a certificate that was replaced is presented within 15 s, and the API server still gets through", async () => {
  const issued = kuma.certificate.renew();
  await eventually(
    "the new one is presented",
    async () => (await presented(kuma.admissionPort)).trim() === issued.cert.trim().replaceAll("\r\n", "\n"),
    15_000,
  );
  await objects.create(kumaPath("meshes"), object("Mesh", "renewed", {}));
});

test.run();
