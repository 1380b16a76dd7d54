// deadline: 400 s
import { fork } from "node:child_process";
import { once } from "node:events";
import https from "node:https";
import type { AddressInfo } from "node:net";
import path from "node:path";
import * as assert from "uvu/assert";
import { issueCertificate } from "../support/certificates.js";
import { eventually } from "../support/eventually.js";
import { runProgram } from "../support/executable.js";
import { suite } from "../support/suite.js";
import { usesExistingCluster } from "./existing-cluster.js";
import { type ImageArchive, kumaImage } from "./kuma-image.js";
import { type Node, startNode } from "./node.js";
import { machineSettings, type NodeTraces, networkDevices, tracesOf } from "./traces.js";

const test = suite("a Kubernetes node", { needs: ["kubernetes", "root"] });

/** For what reaches into the node, which somebody's existing cluster doesn't allow. */
const testOfOwnNode: typeof test = Object.assign((title: string, body: () => unknown) => {
  if (!usesExistingCluster) test(title, body);
}, test);

let node: Node;
const before = { devices: networkDevices(), settings: machineSettings() };
let image: ImageArchive;
test.before(async () => {
  [node, image] = await Promise.all([startNode(), kumaImage()]);
});
test.after(() => node?.stop());

/** A web server that answers with its pod's name. */
const web = (namespace: string, replicas: number) => `
apiVersion: v1
kind: Namespace
metadata: {name: ${namespace}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: ${namespace}}
spec:
  replicas: ${replicas}
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: web
        image: localhost/busybox:1
        command: [sh, -c, 'mkdir /www; hostname >/www/index.html; echo serving; exec httpd -f -p 8080 -h /www']
        readinessProbe: {httpGet: {path: /, port: 8080}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: ${namespace}}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
`;

const idle = (name: string, labels: Readonly<Record<string, string>> = {}) => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name, namespace: "default", labels },
  spec: {
    terminationGracePeriodSeconds: 1,
    containers: [{ name: "idle", image: "localhost/busybox:1", command: ["sleep", "1000"] }],
  },
});

const waitFor = (what: string, namespace = "default") =>
  node.kubectl(["wait", "-n", namespace, "--for=condition=Ready", "--timeout=50s", ...what.split(" ")]);
const status = async (place: string) => (await node.request("GET", place)).status;

test("two pods talk through a Service by its DNS name", async () => {
  await node.apply(web("talk", 2));
  await node.apply([idle("client")]);
  await node.kubectl(["-n", "talk", "rollout", "status", "deployment/web", "--timeout=50s"]);
  await waitFor("pod/client");
  const get = ["wget", "-q", "-O", "-", "http://web.talk.svc.cluster.local"];
  const answers = new Set<string>();
  await eventually("both pods have answered", async () => {
    const { status, stdout, stderr } = await node.execInPod("default", "client", get);
    if (status !== 0) throw new Error(stderr);
    answers.add(stdout.trim());
    return answers.size === 2;
  });
  for (const answer of answers) assert.match(answer, /^web-/);
  assert.match(await node.kubectl(["-n", "talk", "logs", "deployment/web"]), "serving");
});

test("an object that a pod owns is collected after the pod", async () => {
  await node.apply([idle("owner")]);
  const uid = await node.kubectl(["get", "pod", "owner", "-o", "jsonpath={.metadata.uid}"]);
  const ownerReferences = [{ apiVersion: "v1", kind: "Pod", name: "owner", uid }];
  await node.apply([
    { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "owned", namespace: "default", ownerReferences } },
  ]);
  await waitFor("pod/owner");
  assert.is(await status("/api/v1/namespaces/default/configmaps/owned"), 200);
  await node.kubectl(["delete", "pod", "owner", "--wait=false"]);
  await eventually(
    "the owned object is gone",
    async () => (await status("/api/v1/namespaces/default/configmaps/owned")) === 404,
  );
});

testOfOwnNode(
  "the API server calls a mutating webhook of this process through a Service without selector",
  async () => {
    const hosts = ["mutator.default.svc"];
    const authority = issueCertificate({ name: "webhooks" });
    const server = https.createServer(
      issueCertificate({ name: "mutator", by: authority, hosts }),
      (request, response) => {
        let text = "";
        request.on("data", (chunk: Buffer) => {
          text += chunk.toString();
        });
        request.on("end", () => {
          const { uid } = (JSON.parse(text) as { request: { uid: string } }).request;
          const patch = [{ op: "add", path: "/metadata/labels/mutated", value: "yes" }];
          const answer = { uid, allowed: true, patchType: "JSONPatch", patch: btoa(JSON.stringify(patch)) };
          response.setHeader("content-type", "application/json");
          response.end(
            JSON.stringify({ apiVersion: "admission.k8s.io/v1", kind: "AdmissionReview", response: answer }),
          );
        });
      },
    );
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    try {
      const address = await node.expose(9443, (server.address() as AddressInfo).port);
      const ports = [{ name: "https", port: 443, targetPort: 9443 }];
      await node.apply([
        { apiVersion: "v1", kind: "Service", metadata: { name: "mutator", namespace: "default" }, spec: { ports } },
        {
          apiVersion: "discovery.k8s.io/v1",
          kind: "EndpointSlice",
          metadata: {
            name: "mutator-1",
            namespace: "default",
            labels: { "kubernetes.io/service-name": "mutator" },
          },
          addressType: "IPv4",
          ports: [{ name: "https", port: 9443, protocol: "TCP" }],
          endpoints: [{ addresses: [address], conditions: { ready: true } }],
        },
        {
          apiVersion: "admissionregistration.k8s.io/v1",
          kind: "MutatingWebhookConfiguration",
          metadata: { name: "mutator" },
          webhooks: [
            {
              name: "mutator.example.org",
              admissionReviewVersions: ["v1"],
              sideEffects: "None",
              failurePolicy: "Fail",
              objectSelector: { matchLabels: { mutate: "please" } },
              rules: [{ apiGroups: [""], apiVersions: ["v1"], operations: ["CREATE"], resources: ["pods"] }],
              clientConfig: { caBundle: btoa(authority.cert), service: { name: "mutator", namespace: "default" } },
            },
          ],
        },
      ]);
      // kube-proxy hears of the Service a moment later, and kubectl's first attempts may fail.
      await eventually("the pod is admitted", () =>
        node.apply([idle("mutated", { mutate: "please" })]).then(() => true),
      );
      const labels = await node.kubectl(["get", "pod", "mutated", "-o", "jsonpath={.metadata.labels}"]);
      assert.equal(JSON.parse(labels), { mutate: "please", mutated: "yes" });
    } finally {
      await node.kubectl(["delete", "mutatingwebhookconfiguration", "mutator", "--ignore-not-found"]);
      server.close();
      server.closeAllConnections();
    }
  },
);

testOfOwnNode("pods run the image of our own programs", async () => {
  await node.importImage(image.file);
  const container = { name: "kuma", image: image.name, args: ["version"] };
  const spec = { restartPolicy: "Never", securityContext: { runAsNonRoot: true }, containers: [container] };
  await node.apply([{ apiVersion: "v1", kind: "Pod", metadata: { name: "ours", namespace: "default" }, spec }]);
  await node.kubectl(["wait", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=50s", "pod/ours"]);
  assert.is(await node.kubectl(["logs", "ours"]), runProgram("kuma", ["version"]).stdout);
});

test("a namespace with running pods goes away", async () => {
  await node.apply(web("going", 3));
  await node.kubectl(["-n", "going", "rollout", "status", "deployment/web", "--timeout=50s"]);
  await node.kubectl(["delete", "namespace", "going", "--wait=false"]);
  await eventually("the namespace is gone", async () => (await status("/api/v1/namespaces/going")) === 404, 50_000);
});

testOfOwnNode("a program in the node sees its processes and network, not those of this machine", async () => {
  const { stdout } = await node.exec(["ip", "-brief", "address"]);
  assert.match(stdout, "192.168.77.1/24");
  assert.match((await node.exec(["ps", "ax"])).stdout, "/opt/kubernetes kubelet");
  assert.is((await node.exec(["cat"], "its input")).stdout, "its input");
});

testOfOwnNode(
  "a second node beside it, whose test is killed, leaves nothing behind, and the first one stays",
  async () => {
    const file = path.join(import.meta.dirname, "killed-node.ts");
    const killed = fork(file, { execArgv: ["--import", "tsx"], stdio: ["ignore", "inherit", "inherit", "ipc"] });
    const ended = once(killed, "exit");
    let traces: NodeTraces | undefined;
    killed.on("message", (message) => {
      traces = message as NodeTraces;
    });
    await eventually(
      "the second node is ready",
      () => {
        if (killed.exitCode !== null) throw new Error(`it ended: ${killed.exitCode}`);
        return traces !== undefined;
      },
      55_000,
    );
    if (traces === undefined) throw new Error("unreachable: the condition above is that there are traces");
    assert.ok(tracesOf(traces).length > 8, tracesOf(traces).join("\n"));
    killed.kill("SIGKILL");
    await ended;
    const { cgroup, directory } = traces;
    await eventually("nothing is left of it", () => {
      const left = tracesOf({ cgroup, directory });
      if (left.length > 0) throw new Error(left.join("\n"));
      return true;
    });
    assert.is(await status("/readyz"), 200);
    assert.ok(tracesOf(node.own).length > 8);
  },
);

testOfOwnNode("a node that was stopped leaves nothing behind", async () => {
  const { cgroup, directory } = node.own;
  await node.stop();
  assert.equal(tracesOf({ cgroup, directory }), []);
  assert.equal(networkDevices(), before.devices);
  assert.is(machineSettings(), before.settings);
});

test.run();
