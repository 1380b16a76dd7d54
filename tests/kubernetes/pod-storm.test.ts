// deadline: 400 s
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import * as assert from "uvu/assert";
import { eventually } from "../support/eventually.js";
import type { ControlPlane } from "../support/executable.js";
import { suite } from "../support/suite.js";
import { type ApiServer, startApiServer } from "./api-server.js";
import { installKuma, type KumaInstallation, startKumaCp } from "./kuma-cp.js";
import { corePath, type DataplaneObject, inboundsOf, kumaPath, objectsOf, outboundsOf } from "./objects.js";

const test = suite("Dataplanes of many pods", { needs: "kubernetes" });

const podCount = 200;
const serviceCount = 20;

let api: ApiServer;
let kuma: KumaInstallation;
let second: ControlPlane;
let objects: ReturnType<typeof objectsOf>;
const directory = fs.mkdtempSync(path.join(os.tmpdir(), "kuma-audit-"));
const auditLog = path.join(directory, "audit.log");
const account = "system:serviceaccount:kuma-system:kuma-control-plane";

test.before(async () => {
  const policy = path.join(directory, "policy.json");
  fs.writeFileSync(
    policy,
    JSON.stringify({
      apiVersion: "audit.k8s.io/v1",
      kind: "Policy",
      omitStages: ["RequestReceived", "ResponseStarted"],
      rules: [{ level: "Metadata", users: [account] }],
    }),
  );
  api = await startApiServer({
    flags: [`--audit-policy-file=${policy}`, `--audit-log-path=${auditLog}`, "--audit-log-mode=blocking"],
  });
  objects = objectsOf(api);
  kuma = await installKuma(api);
  const { certificate, kubeconfig } = kuma;
  second = await startKumaCp(api, { certificate, kubeconfig });
  await objects.namespace("storm");
});
test.after(async () => {
  if (process.env.SHOW_LOG !== undefined) console.log(kuma?.kumaCp.output(), second?.output());
  await second?.stop();
  await kuma?.stop();
  await api?.stop();
  fs.rmSync(directory, { recursive: true, force: true });
});

interface Audited {
  readonly verb: string;
  readonly objectRef?: { readonly resource: string };
  readonly responseStatus?: { readonly code: number };
}

/** Every request that the control planes have made. */
function audited(): readonly Audited[] {
  const lines = fs.readFileSync(auditLog, "utf8").split("\n");
  return lines.filter((line) => line !== "").map((line) => JSON.parse(line) as Audited);
}

const writes = () =>
  audited().filter(
    ({ verb, objectRef }) => objectRef?.resource === "dataplanes" && ["create", "patch", "update"].includes(verb),
  );

const ipOf = (pod: number) => `10.2.${Math.floor(pod / 200)}.${(pod % 200) + 1}`;

async function storm(namespace: string): Promise<void> {
  const names = Array.from({ length: serviceCount }, (_, index) => `s${index}`);
  await Promise.all(
    names.map((app) => objects.service(namespace, app, { selector: { app }, ports: [{ port: 80, targetPort: 8080 }] })),
  );
  const pods = Array.from({ length: podCount }, (_, index) => index);
  const lanes = Array.from({ length: 8 }, async () => {
    for (let pod = pods.shift(); pod !== undefined; pod = pods.shift()) {
      // Each service's pods one after the other, so that new services appear until the end.
      const app = names[Math.floor((pod * serviceCount) / podCount)] ?? "";
      await objects.pod(namespace, `p${pod}`, { ip: ipOf(pod), labels: { app } });
    }
  });
  await Promise.all(lanes);
}

async function allRight(namespace: string): Promise<boolean> {
  const dataplanes = await objects.list<DataplaneObject>(kumaPath("dataplanes", namespace));
  const right = dataplanes.filter((found) => {
    const pod = Number(found.metadata.name.slice(1));
    const service = `s${Math.floor((pod * serviceCount) / podCount)}.${namespace}.svc:80`;
    return (
      inboundsOf(found).join() === `${ipOf(pod)}:8080:8080 ${service}` && outboundsOf(found).length === serviceCount
    );
  });
  if (right.length !== podCount) throw new Error(`${right.length} of ${dataplanes.length} are right`);
  return true;
}

test("200 pods and 20 Services at once: all Dataplanes are right within a minute, with three writes a pod at most", async () => {
  const began = performance.now();
  await storm("storm");
  const created = performance.now();
  await eventually("all Dataplanes are right", () => allRight("storm"), 60_000 + (created - began));
  const done = performance.now();
  const all = writes();
  const seconds = (from: number, to: number) => `${((to - from) / 1_000).toFixed(1)} s`;
  console.log(
    `pods created in ${seconds(began, created)}; Dataplanes right ${seconds(created, done)} later; ` +
      `${(all.length / podCount).toFixed(2)} writes a pod, ${audited().length} requests`,
  );
  assert.ok(all.length <= 3 * podCount, `${all.length} writes`);
});

test("nothing is written and hardly anything asked once they are right, by two control planes together", async () => {
  await eventually(
    "no write for 5 s",
    async () => {
      const before = writes().length;
      const at = performance.now();
      await eventually("5 s pass", () => performance.now() - at > 5_000);
      return writes().length === before;
    },
    60_000,
  );
  const before = audited();
  const at = performance.now();
  await eventually("15 s pass", () => performance.now() - at > 15_000);
  const since = audited().slice(before.length);
  const perSecond = since.length / ((performance.now() - at) / 1_000);
  if (process.env.SHOW_LOG !== undefined) {
    const kinds = Map.groupBy(since, ({ verb, objectRef }) => `${verb} ${objectRef?.resource}`);
    for (const [kind, requests] of kinds) console.log(kind, requests.length);
  }
  console.log(`two control planes at rest: ${perSecond.toFixed(2)} requests a second`);
  assert.equal(
    since.filter(({ verb, objectRef }) => objectRef?.resource === "dataplanes" && verb !== "watch" && verb !== "get"),
    [],
  );
  assert.ok(perSecond < 4, `${perSecond} requests a second of two control planes`);
});

test("a new Service costs one write a pod, and only then", async () => {
  const before = writes().length;
  await objects.service("storm", "late", { selector: { app: "late" }, ports: [{ port: 80, targetPort: 8080 }] });
  await objects.pod("storm", "late", { ip: "10.3.0.1" });
  await eventually(
    "every pod has the outbound",
    async () => {
      const dataplanes = await objects.list<DataplaneObject>(kumaPath("dataplanes", "storm"));
      return dataplanes.every((found) => outboundsOf(found).length === serviceCount + 1);
    },
    60_000,
  );
  const made = writes().length - before;
  assert.ok(made <= podCount + 2, `${made} writes`);
});

test("the leader is killed while pods change: the other one takes over, and the end is right", async () => {
  const leads = (one: ControlPlane) => one.output().includes("this control plane leads");
  const leader = leads(kuma.kumaCp) ? kuma.kumaCp : second;
  // The webhooks are those of the first one, so that the second is the one to lose if it leads.
  if (leader === kuma.kumaCp) {
    await objects.delete(
      "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/kuma-validating-webhook-configuration",
    );
    await objects.delete(
      "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/kuma-admission-mutating-webhook-configuration",
    );
  }
  await leader.kill();
  for (let pod = 0; pod < 20; pod++) await objects.delete(`${corePath("pods", "storm")}/p${pod}`);
  await objects.delete(`${corePath("services", "storm")}/late`);
  await eventually(
    "the Dataplanes are right",
    async () => {
      const dataplanes = await objects.list<DataplaneObject>(kumaPath("dataplanes", "storm"));
      if (dataplanes.length !== podCount - 20) throw new Error(`there are ${dataplanes.length}`);
      return dataplanes.every((found) => outboundsOf(found).length === serviceCount - 2);
    },
    60_000,
  );
});

test.run();
