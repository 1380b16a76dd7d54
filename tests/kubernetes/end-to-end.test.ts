// deadline: 600 s
import * as assert from "uvu/assert";
import { eventually } from "../support/eventually.js";
import { freePort } from "../support/ports.js";
import { suite } from "../support/suite.js";
import { type Installation, mutualTls, startInstallation, webApplication } from "./installation.js";
import { figuresOf, lossesSince, meshStateOf } from "./mesh-state.js";
import { corePath, kumaPath, objectsOf } from "./objects.js";

/** kuma-init redirects nothing yet, so a stand-in that ends at once takes its place, and no traffic passes a sidecar. */
const test = suite("Kuma on a Kubernetes node, installed as the README says", {
  needs: ["kubernetes", "root", "envoy"],
});

let installation: Installation;
let objects: ReturnType<typeof objectsOf>;
let mesh: ReturnType<typeof meshStateOf>;
const figures: string[] = [];

test.before(async () => {
  installation = await startInstallation();
  objects = objectsOf(installation.node);
  mesh = meshStateOf(installation.node, "demo");
});
test.after(async () => {
  for (const figure of figures) console.log(figure);
  await installation?.stop();
});

const since = (start: number) => `${((performance.now() - start) / 1000).toFixed(1)} s`;

interface ListedPod {
  readonly metadata: { readonly name: string; readonly annotations?: Readonly<Record<string, string>> };
  readonly spec: {
    readonly serviceAccountName: string;
    readonly containers: readonly { readonly name: string; readonly image: string }[];
    readonly initContainers?: readonly { readonly name: string; readonly restartPolicy?: string }[];
  };
  readonly status: {
    readonly containerStatuses: readonly { readonly restartCount: number; readonly ready: boolean }[];
  };
}

const podsIn = (namespace: string) => objects.list<ListedPod>(corePath("pods", namespace));

/** What a user on this machine sees through `kubectl port-forward`, with the commands of the README. */
async function kumactl(...commands: string[]): Promise<string> {
  const port = String(await freePort());
  const script = `
    kubectl port-forward -n kuma-system service/kuma-control-plane ${port}:5681 >/dev/null &
    forwarding=$!
    trap 'kill $forwarding' EXIT
    until (exec 3<>/dev/tcp/127.0.0.1/${port}) 2>/dev/null; do kill -0 $forwarding; sleep 0.1; done
    kumactl config control-planes add --name=test --address=http://127.0.0.1:${port} --overwrite >/dev/null
    ${commands.join("\n")}`;
  return (await installation.run(script)).stdout;
}

/** Names of Dataplanes that `kumactl inspect dataplanes` shows as Online. */
const online = async (): Promise<readonly string[]> =>
  [...(await kumactl("kumactl inspect dataplanes")).matchAll(/^\S+ +(\S+) .* Online /gm)].map(([, name = ""]) => name);

const dataplaneNames = async () => (await mesh.pods()).map(({ metadata }) => `${metadata.name}.demo`).sort();

async function allOnline(count: number): Promise<void> {
  await eventually(`${count} Dataplanes are online`, async () => {
    const [names, expected] = [(await online()).toSorted(), await dataplaneNames()];
    if (expected.length === count && JSON.stringify(names) === JSON.stringify(expected)) return true;
    throw new Error(`online: ${names}; pods: ${expected}`);
  });
}

test("the control plane and the injector start from what kumactl prints, under the Pod Security level restricted", async () => {
  const start = performance.now();
  const { stderr } = await installation.runReadme(
    "kumactl install control-plane --image-registry registry.example.com/mesh | kubectl",
  );
  figures.push(`from kubectl apply to available Deployments: ${since(start)}`);
  assert.is(stderr, "");
  const namespace = await installation.node.kubectl([
    "get",
    "namespace",
    "kuma-system",
    "-o",
    "jsonpath={.metadata.labels}",
  ]);
  assert.is((JSON.parse(namespace) as Record<string, string>)["pod-security.kubernetes.io/enforce"], "restricted");
  const pods = await podsIn("kuma-system");
  assert.equal(
    pods.map(({ spec, status }) => [
      spec.serviceAccountName,
      spec.containers.map(({ image }) => image.replace(/:.*/, "")),
      status.containerStatuses.map(({ restartCount, ready }) => [restartCount, ready]),
    ]),
    ["kuma-cp", "kuma-injector"].map((program) => [
      program.replace("-cp", "-control-plane"),
      [`localhost/${program}`],
      [[0, true]],
    ]),
  );
});

test("kumactl reads what it has through kubectl port-forward, and finds nothing wrong", async () => {
  await eventually("there is the default Mesh", async () => {
    const text = await kumactl("kumactl get meshes");
    if (/^default +off *$/m.test(text)) return true;
    throw new Error(JSON.stringify(text));
  });
  const report = await kumactl("kumactl check");
  assert.not.match(report, /[‼×]/u, report);
});

test("pods of a namespace in the mesh get native sidecars, which connect with tokens of their own", async () => {
  await installation.runReadme("create namespace demo");
  const start = performance.now();
  await installation.node.apply(webApplication("demo", 2));
  await eventually(
    "both have Dataplanes",
    async () => (await objects.list(kumaPath("dataplanes", "demo"))).length === 2,
  );
  figures.push(`from kubectl apply of two pods to both Dataplanes: ${since(start)}`);
  await allOnline(2);
  figures.push(`to both online: ${since(start)}`);
  await installation.run("kubectl rollout status -n demo deployment/web --timeout=120s");
  figures.push(`to both ready: ${since(start)}`);
  for (const { spec } of await podsIn("demo")) {
    assert.equal(
      spec.initContainers?.map(({ name, restartPolicy }) => [name, restartPolicy ?? ""]),
      [
        ["kuma-init", ""],
        ["kuma-sidecar", "Always"],
      ],
    );
  }
  const events = await installation.node.kubectl(["get", "events", "-n", "demo", "-o", "jsonpath={.items[*].reason}"]);
  assert.is(events.split(" ").filter((reason) => reason === "CreatedKumaDataplane").length, 2);
});

test("with mutual TLS, sidecars get certificates with the names of their Services", async () => {
  await installation.node.apply(mutualTls("demo"));
  await eventually("all have certificates", async () => {
    const { sidecars } = await mesh.take();
    const identities = Object.values(sidecars).flatMap(({ identities }) => identities);
    if (identities.filter((name) => name === "spiffe://default/web.demo.svc:80").length === 2) return true;
    throw new Error(JSON.stringify(sidecars));
  });
  assert.match(await kumactl("kumactl get meshes"), /^default +on *$/m);
  const report = await kumactl("kumactl check");
  assert.not.match(report, /[‼×]/u, report);
});

test("while the control plane's pod is replaced, sidecars keep their configuration and reconnect", async () => {
  const before = await mesh.take();
  assert.is(Object.keys(before.sidecars).length, 2);
  const start = performance.now();
  await installation.run("kubectl delete pod -n kuma-system -l app=kuma-control-plane --wait=false");
  await eventually("all have connected anew", async () => {
    const { sidecars } = await mesh.take();
    return Object.entries(sidecars).every(
      ([name, { connected, connections }]) => connected && connections > (before.sidecars[name]?.connections ?? 0),
    );
  });
  figures.push(`from the deletion of the control plane's pod to both sidecars connected again: ${since(start)}`);
  await allOnline(2);
  const after = await mesh.take();
  assert.equal(lossesSince(before, after), []);
  figures.push(figuresOf(after));
});

test("after that, a new pod joins, and the Dataplane of one that goes goes with it", async () => {
  const start = performance.now();
  await installation.run("kubectl scale -n demo deployment/web --replicas=3");
  await allOnline(3);
  figures.push(`from kubectl scale to the third pod online: ${since(start)}`);
  await installation.run("kubectl scale -n demo deployment/web --replicas=2");
  await allOnline(2);
  for (const kind of ["dataplanes", "dataplaneinsights"]) {
    await eventually(`two ${kind} are left`, async () => (await objects.list(kumaPath(kind, "demo"))).length === 2);
  }
});

test("the README's upgrade replaces all pods, and changes neither authorities nor certificates of servers", async () => {
  await installation.run("kubectl rollout status -n demo deployment/web --timeout=120s");
  const secrets = async () =>
    (await objects.list<{ data: unknown }>(corePath("secrets", "kuma-system"))).map(({ data }) => data);
  const before = await secrets();
  await installation.runReadme("new.yaml", {
    "rm secrets.yaml": "kubectl rollout restart -n kuma-system deployment\nrm secrets.yaml",
  });
  await installation.run("kubectl rollout status -n demo deployment/web --timeout=120s");
  await allOnline(2);
  assert.equal(await secrets(), before);
});

test("nothing of Kuma is left after the README's commands that uninstall it", async () => {
  const { run, runReadme, node } = installation;
  await run(`
    kubectl label namespace demo kuma.io/sidecar-injection-
    kubectl rollout restart -n demo deployment
    kubectl rollout status -n demo deployment/web --timeout=120s`);
  await eventually("pods with sidecars are gone", async () =>
    (await podsIn("demo")).every(
      ({ metadata, spec }) => spec.initContainers === undefined && metadata.annotations?.["kuma.io/mesh"] === undefined,
    ),
  );
  await runReadme("kumactl uninstall control-plane | kubectl");
  await runReadme("uninstall control-plane --crds");
  const kinds =
    "crds,clusterroles,clusterrolebindings,mutatingwebhookconfigurations,validatingwebhookconfigurations,namespaces";
  await eventually("nothing is left", async () => !(await node.kubectl(["get", kinds, "-o", "name"])).includes("kuma"));
});

test.run();
