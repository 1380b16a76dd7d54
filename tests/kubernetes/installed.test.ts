// deadline: 400 s
import * as assert from "uvu/assert";
import { eventually } from "../support/eventually.js";
import { runProgram } from "../support/executable.js";
import { suite } from "../support/suite.js";
import { kumaImage } from "./kuma-image.js";
import { type Node, startNode } from "./node.js";

const test = suite("a control plane that kumactl installed on a node", { needs: ["kubernetes", "root"] });

let node: Node;

test.before(async () => {
  const [started, { file }] = await Promise.all([startNode(), kumaImage()]);
  node = started;
  await node.importImage(file);
  const { status, stdout, stderr } = runProgram("kumactl", ["install", "control-plane", "--replicas=2"]);
  assert.is(status, 0, stderr);
  await node.kubectl(["apply", "--validate=strict", "-f", "-"], { input: stdout });
});

test.after(() => node?.stop());

for (const name of ["kuma-control-plane", "kuma-injector"]) {
  test(`${name} becomes available, from the images that the manifests name`, async () => {
    const words = ["rollout", "status", "-n", "kuma-system", `deployment/${name}`, "--timeout=55s"];
    const { status, stdout, stderr } = await node.tryKubectl(words);
    if (status === 0) return;
    const logs = await node.tryKubectl(["logs", "-n", "kuma-system", `deployment/${name}`]);
    const pods = await node.tryKubectl(["describe", "pods", "-n", "kuma-system", "-l", `app=${name}`]);
    assert.unreachable(`${stdout}${stderr}${logs.stdout}${pods.stdout.slice(-3000)}`);
  });
}

test("the Mesh default is there, and the webhooks answer with the words of the HTTP API", async () => {
  await eventually("the Mesh default is there", async () => {
    return (await node.tryKubectl(["get", "mesh", "default"])).status === 0;
  });
  const invalid = {
    apiVersion: "kuma.io/v1alpha1",
    kind: "TrafficPermission",
    mesh: "default",
    metadata: { name: "nobody", namespace: "default" },
    spec: { rules: [{ destinations: [{ match: { service: "*" } }] }] },
  };
  const refused = await node.tryKubectl(["apply", "-f", "-"], { input: JSON.stringify(invalid) });
  assert.is(refused.status, 1);
  assert.match(
    refused.stderr,
    'TrafficPermission "nobody" is invalid: rules[0].sources: must have at least one element',
  );
  const invented = { ...invalid, kind: "DataplaneInsight", spec: undefined, status: {} };
  const { status, stderr } = await node.tryKubectl(["create", "-f", "-"], { input: JSON.stringify(invented) });
  assert.is(status, 1);
  assert.match(stderr, 'admission webhook "reserved.validator.kuma-admission.kuma.io" denied the request');
  assert.match(
    stderr,
    'is written by the control plane only, which is "system:serviceaccount:kuma-system:kuma-control-plane"',
  );
});

test("no permission is missing so far", async () => {
  const logs = await node.kubectl(["logs", "-n", "kuma-system", "-l", "app=kuma-control-plane", "--tail=-1"]);
  assert.match(logs, "kuma-cp");
  assert.not.match(logs, /forbidden|cannot (?:get|list|watch|create|update|patch|delete) resource/);
});

const authority = ["get", "secret", "builtinca.default", "-n", "kuma-system", "-o", "jsonpath={.data.value}"];

async function remove(...words: string[]): Promise<void> {
  const { status, stdout, stderr } = runProgram("kumactl", ["uninstall", "control-plane", ...words]);
  assert.is(status, 0, stderr);
  await node.kubectl(["delete", "--ignore-not-found", "-f", "-"], { input: stdout });
}

test("uninstalled, it leaves the Mesh and its authority, which can be changed by kubectl meanwhile", async () => {
  const before = await node.kubectl(authority);
  assert.ok(before.length > 100);
  await remove();
  await node.kubectl(["label", "mesh", "default", "changed=yes"]);
  assert.is(await node.kubectl(authority), before);
});

test("uninstalled with --crds, it leaves nothing", async () => {
  await remove("--crds");
  const kinds =
    "crds,namespaces,clusterroles,clusterrolebindings,mutatingwebhookconfigurations,validatingwebhookconfigurations";
  assert.not.match(await node.kubectl(["get", kinds, "-o", "name"]), "kuma");
});

test.run();
