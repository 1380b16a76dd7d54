// deadline: 240 s
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { loadAll } from "js-yaml";
import * as assert from "uvu/assert";
import { findHelm } from "../../scripts/kubernetes/helm.mjs";
import { registry } from "../../src/resources/registry.js";
import { decode } from "../../src/resources/schema.js";
import { eventually } from "../support/eventually.js";
import { bin } from "../support/executable.js";
import { codeBlocks, shellBlocks } from "../support/readme.js";
import { suite } from "../support/suite.js";
import { typeNamed } from "../support/type-named.js";
import { type ApiServer, kitOrFail, startApiServer } from "./api-server.js";
import { runProgram } from "./cluster.js";

const test = suite("the README's section on Kubernetes", { needs: ["kubernetes", "helm"] });

let server: ApiServer;
let work: string;

test.before(async () => {
  server = await startApiServer();
  work = fs.mkdtempSync(path.join(os.tmpdir(), "kuma-kubernetes-readme-"));
  const shim = (name: string, command: string) =>
    fs.writeFileSync(path.join(work, name), `#!/bin/sh\nexec ${command} "$@"\n`, { mode: 0o755 });
  shim("kumactl", path.join(bin, "kumactl"));
  shim("kubectl", `${kitOrFail().components} kubectl`);
  shim("helm", findHelm() ?? "");
});

test.after(async () => {
  await server?.stop();
  fs.rmSync(work, { recursive: true, force: true });
});

/** Runs a script as a user would, in a directory of its own. Without nodes no Deployment becomes available. */
async function does(script: string): Promise<void> {
  const lines = script.split("\n").filter((line) => !line.startsWith("kubectl rollout status "));
  const { status, stderr } = await runProgram([
    ...["env", "-C", work, `PATH=${work}:/usr/bin:/bin`, `HOME=${work}`, `KUBECONFIG=${server.kubeconfig}`],
    ...["bash", "-eo", "pipefail", "-c", lines.join("\n")],
  ]);
  assert.is(status, 0, `${script}\n${stderr}`);
}

/** The block of commands that has this word. */
function blockWith(word: string): string {
  const found = shellBlocks("Kubernetes").filter((block) => block.includes(word));
  assert.is(found.length, 1, word);
  return found[0] ?? "";
}

const kumaObjects = async () => {
  const kinds = "crds,clusterroles,mutatingwebhookconfigurations,validatingwebhookconfigurations,namespaces";
  return (await server.kubectl(["get", kinds, "-o", "name"])).split("\n").filter((name) => name.includes("kuma"));
};

test("has blocks of commands that these tests run, but for images and a port that is forwarded", () => {
  const run = ["kubectl rollout status", "helm install", "create namespace demo", "new.yaml", "--crds", "uninstall"];
  const others = shellBlocks("Kubernetes").filter((block) => !run.some((word) => block.includes(word)));
  assert.is(others.length, 2);
  assert.match(others[0] ?? "", /^docker load /);
  assert.match(others[1] ?? "", /^kubectl port-forward /);
});

test("its commands install and uninstall by Helm", async () => {
  await does(blockWith("helm install"));
  await does("helm uninstall kuma --namespace kuma-system; kubectl delete namespace kuma-system");
  await does("kumactl install crds | kubectl delete -f -");
  assert.equal(await kumaObjects(), []);
});

test("its commands install", async () => {
  await does(blockWith("kumactl install control-plane --image-registry registry.example.com/mesh | kubectl"));
  await does(blockWith("create namespace demo"));
  const image = ["get", "deployment", "kuma-injector", "-n", "kuma-system", "-o", "jsonpath={..containers[0].image}"];
  assert.match(await server.kubectl(image), /^registry\.example\.com\/mesh\/kuma-injector:/);
});

test("its commands upgrade, and change no certificate", async () => {
  const secrets = () => server.kubectl(["get", "secrets", "-n", "kuma-system", "-o", "jsonpath={.items[*].data}"]);
  const before = await secrets();
  assert.match(before, "tls.key");
  await does(blockWith("new.yaml"));
  assert.is(await secrets(), before);
  assert.equal(
    fs.readdirSync(work).filter((name) => name.endsWith(".yaml")),
    [],
  );
});

interface CustomResource {
  readonly kind: string;
  readonly spec: unknown;
}

test("it shows the Mesh and each policy, which kubectl and the control plane accept without a warning", async () => {
  // No control plane runs, so the webhooks are away; what they would say is checked below.
  await server.kubectl(["delete", "mutatingwebhookconfigurations,validatingwebhookconfigurations", "--all"]);
  const blocks = codeBlocks("Kubernetes", "yaml");
  const resources = blocks
    .flatMap((block) => loadAll(block) as CustomResource[])
    .filter(({ kind }) => kind !== "Service");
  assert.equal(resources.map(({ kind }) => kind).sort(), ["Mesh", ...registry.policies.map(({ name }) => name)].sort());
  for (const block of blocks) {
    const { status, stderr } = await server.tryKubectl(["apply", "--validate=strict", "-f", "-"], { input: block });
    assert.equal([status, stderr], [0, ""]);
  }
  for (const { kind, spec } of resources) {
    const type = typeNamed(kind);
    const read = decode(type.schema, spec, "strict");
    const complete = type.defaults(read.value);
    assert.equal([kind, read.unknown, type.validate(complete), type.warnings(complete)], [kind, [], [], []]);
  }
});

test("its commands uninstall, first without the state and then with it", async () => {
  await does(blockWith("kumactl uninstall control-plane | kubectl"));
  const left = await server.kubectl(["get", "trafficroutes", "-n", "demo", "-o", "name"]);
  assert.is(left.trim(), "trafficroute.kuma.io/redis-canary");
  await does(blockWith("uninstall control-plane --crds"));
  await eventually("nothing is left", async () => (await kumaObjects()).length === 0);
});

test.run();
