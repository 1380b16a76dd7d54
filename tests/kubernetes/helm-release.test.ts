// deadline: 240 s
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import * as assert from "uvu/assert";
import { findHelm } from "../../scripts/kubernetes/helm.mjs";
import { registry } from "../../src/resources/registry.js";
import { bin } from "../support/executable.js";
import { suite } from "../support/suite.js";
import { type ApiServer, startApiServer } from "./api-server.js";
import { runProgram } from "./cluster.js";

const test = suite("a release of the Helm chart on a real API server", { needs: ["kubernetes", "helm"] });

const release = ["kuma", "--namespace", "kuma-system"];
let server: ApiServer;
let work: string;
let chart: string;

test.before(async () => {
  work = fs.mkdtempSync(path.join(os.tmpdir(), "kuma-helm-release-"));
  chart = path.join(work, "kuma");
  const { status, stderr } = await runProgram([
    ...[path.join(bin, "kumactl"), "install", "helm-chart", "--directory", chart],
  ]);
  assert.is(status, 0, stderr);
  server = await startApiServer();
});

test.after(async () => {
  await server?.stop();
  fs.rmSync(work, { recursive: true, force: true });
});

/** Its files in the test's own directory, and nobody's kubeconfig. */
async function helm(...words: string[]): Promise<string> {
  const home = ["env", `HOME=${work}`, `KUBECONFIG=${server.kubeconfig}`];
  const { status, stdout, stderr } = await runProgram([...home, findHelm() ?? "", ...words]);
  assert.is(status, 0, stderr);
  return stdout;
}

const secretsOf = () => server.kubectl(["get", "secrets", "-n", "kuma-system", "-o", "jsonpath={.items[*].data}"]);
const anchors = () =>
  server.kubectl([
    ...["get", "mutatingwebhookconfigurations,validatingwebhookconfigurations"],
    ...["-o", "jsonpath={.items[*].webhooks[*].clientConfig.caBundle}"],
  ]);

let before: readonly string[];

test("is installed into a namespace that Helm makes", async () => {
  const notes = await helm("install", ...release, chart, "--create-namespace");
  assert.match(notes, "kubectl rollout status -n kuma-system deployment/kuma-control-plane");
  before = [await secretsOf(), await anchors()];
  assert.match(before[0] ?? "", /tls\.key/);
});

test("keeps its certificates in an upgrade", async () => {
  await helm("upgrade", ...release, chart, "--set", "replicas=2");
  const replicas = ["get", "deployment", "kuma-control-plane", "-n", "kuma-system", "-o", "jsonpath={.spec.replicas}"];
  assert.is(await server.kubectl(replicas), "2");
  const now = [await secretsOf(), await anchors()];
  // The release's own Secrets tell of each version.
  const tls = (text: string) => text.match(/"tls\.(?:crt|key)":"[^"]+"/g)?.sort();
  assert.is(tls(now[0] ?? "")?.length, 6);
  assert.equal(tls(now[0] ?? ""), tls(before[0] ?? ""));
  assert.is(now[1], before[1]);
});

test("leaves the custom resources and the namespace when it is uninstalled, and can be installed again", async () => {
  await helm("uninstall", ...release);
  const left = await server.kubectl(["get", "crds", "-o", "name"]);
  const plurals = registry.types.flatMap(({ kubernetes }) => kubernetes?.plural ?? []);
  assert.equal(
    left.trim().split("\n").sort(),
    plurals.map((plural) => `customresourcedefinition.apiextensions.k8s.io/${plural}.kuma.io`).sort(),
  );
  const gone = "mutatingwebhookconfigurations,validatingwebhookconfigurations,clusterroles,deployments,services";
  assert.not.match(await server.kubectl(["get", gone, "--all-namespaces", "-o", "name"]), "kuma");
  await helm("install", ...release, chart);
});

test.run();
