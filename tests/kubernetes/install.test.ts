// deadline: 300 s
import { X509Certificate } from "node:crypto";
import { loadAll } from "js-yaml";
import * as assert from "uvu/assert";
import { registry } from "../../src/resources/registry.js";
import { eventually } from "../support/eventually.js";
import { runProgram as runBuilt } from "../support/executable.js";
import { suite } from "../support/suite.js";
import { type ApiServer, startApiServer } from "./api-server.js";

const test = suite("what kumactl install prints, on a real API server", { needs: "kubernetes" });

let server: ApiServer;

test.before(async () => {
  server = await startApiServer();
});

test.after(() => server?.stop());

interface Document {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly data?: Readonly<Record<string, string>>;
  readonly webhooks?: readonly {
    readonly clientConfig: {
      readonly caBundle: string;
      readonly service: { readonly name: string; readonly namespace: string };
    };
  }[];
}

function kumactl(words: readonly string[], input = ""): string {
  const { status, stdout, stderr } = runBuilt("kumactl", words, input);
  assert.is(status, 0, stderr);
  return stdout;
}

const install = (...words: string[]) => kumactl(["install", "control-plane", ...words]);
const documentsIn = (text: string) => loadAll(text) as Document[];

/** The names that kubectl printed, without what became of them. */
const names = (output: string) =>
  output
    .trim()
    .split("\n")
    .map((line) => line.split(" ", 1)[0] ?? "");

test("is accepted by strict validation without a warning, and so it is again", async () => {
  const printed = install();
  for (const outcome of ["created", "configured|unchanged"]) {
    const { status, stdout, stderr } = await server.tryKubectl(["apply", "--validate=strict", "-f", "-"], {
      input: printed,
    });
    assert.equal([status, stderr], [0, ""]);
    const lines = stdout.trim().split("\n");
    assert.is(lines.length, documentsIn(printed).length);
    for (const line of lines) assert.match(line, new RegExp(` (${outcome})$`));
  }
});

test("is accepted by a server-side dry run, and with server-side apply", async () => {
  const printed = install("--replicas=3");
  for (const how of [["--dry-run=server"], ["--server-side", "--force-conflicts"]]) {
    const { status, stderr } = await server.tryKubectl(["apply", "--validate=strict", ...how, "-f", "-"], {
      input: printed,
    });
    assert.equal([status, stderr], [0, ""]);
  }
});

test("applied again with the same certificates, nothing differs", async () => {
  const secrets = await server.kubectl(["get", "secrets", "-n", "kuma-system", "-o", "yaml"]);
  const printed = kumactl(["install", "control-plane", "--replicas=3", "--tls-secrets", "-"], secrets);
  const { status, stdout } = await server.tryKubectl(["diff", "-f", "-"], { input: printed });
  assert.equal([status, stdout], [0, ""]);
});

test("every certificate is valid for the Service that the API server calls, by the anchor in the webhook", async () => {
  const documents = documentsIn(install("--namespace=mesh-x", "--injector-service-name=in"));
  const hooks = documents.flatMap(({ webhooks = [] }) => webhooks.map(({ clientConfig }) => clientConfig));
  assert.is(hooks.length, 4);
  for (const { caBundle, service } of hooks) {
    const anchor = new X509Certificate(Buffer.from(caBundle, "base64"));
    const host = `${service.name}.${service.namespace}.svc`;
    assert.is(anchor.checkHost(host, { subject: "never" }), host);
    assert.ok(anchor.verify(anchor.publicKey));
    assert.ok(documents.some(({ data }) => data?.["tls.crt"] === caBundle));
  }
});

test("the CRDs are the registry's kinds, established, and explained by kubectl", async () => {
  const plurals = registry.types.flatMap(({ kubernetes }) => kubernetes?.plural ?? []);
  const found = await server.kubectl(["api-resources", "--api-group=kuma.io", "--no-headers", "-o", "name"]);
  assert.equal(names(found).sort(), plurals.map((plural) => `${plural}.kuma.io`).sort());
  await server.kubectl(["wait", "--for=condition=Established", ...plurals.map((one) => `crd/${one}.kuma.io`)]);
  assert.match(await server.kubectl(["explain", "meshes.spec"]), "mtls");
  assert.match(await server.kubectl(["explain", "trafficpermissions.spec.rules"]), "sources");
});

test("pods of both Deployments are created under Pod Security restricted, which warns about nothing", async () => {
  for (const app of ["kuma-control-plane", "kuma-injector"]) {
    await eventually(`there is a pod of ${app}`, async () =>
      (await server.kubectl(["get", "pods", "-n", "kuma-system", "-l", `app=${app}`, "-o", "name"])).includes(app),
    );
  }
  const events = await server.kubectl(["get", "events", "-n", "kuma-system", "-o", "json"]);
  assert.not.match(events, /FailedCreate|violates PodSecurity/);
  const pod = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "privileged" },
    spec: { containers: [{ name: "a", image: "a", securityContext: { privileged: true } }] },
  };
  const refused = await server.tryKubectl(["create", "-n", "kuma-system", "-f", "-"], { input: JSON.stringify(pod) });
  assert.is(refused.status, 1);
  assert.match(refused.stderr, "violates PodSecurity");
});

test("three instances keep apart where they can, and only one is evicted at a time", async () => {
  const budget = JSON.parse(
    await server.kubectl(["get", "pdb", "kuma-control-plane", "-n", "kuma-system", "-o", "json"]),
  );
  assert.is(budget.spec.maxUnavailable, 1);
  const deployment = JSON.parse(
    await server.kubectl(["get", "deployment", "kuma-control-plane", "-n", "kuma-system", "-o", "json"]),
  );
  assert.is(deployment.spec.replicas, 3);
  assert.equal(deployment.spec.selector, budget.spec.selector);
  const [{ podAffinityTerm }] =
    deployment.spec.template.spec.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution;
  assert.equal(podAffinityTerm.labelSelector, deployment.spec.selector);
});

/** What \`kubectl auth can-i\` asks. @param resource \`plural.group/name\`, or \`plural/subresource\` without a group */
async function mayControlPlane(verb: string, resource: string, namespace = ""): Promise<"yes" | "no"> {
  const [, title = "", subresource, name] = /^([^/=]+)(?:\/([^=]+))?(?:=(.+))?$/.exec(resource) ?? [];
  const [plural, ...group] = title.split(".");
  const { body } = await server.request("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", {
    apiVersion: "authorization.k8s.io/v1",
    kind: "SubjectAccessReview",
    spec: {
      user: "system:serviceaccount:kuma-system:kuma-control-plane",
      groups: ["system:serviceaccounts", "system:serviceaccounts:kuma-system", "system:authenticated"],
      resourceAttributes: { verb, group: group.join("."), resource: plural, namespace, subresource, name },
    },
  });
  return (body as { status: { allowed: boolean } }).status.allowed ? "yes" : "no";
}

const validating = "validatingwebhookconfigurations.admissionregistration.k8s.io";
const mutating = "mutatingwebhookconfigurations.admissionregistration.k8s.io";

const permissions: readonly [allowed: "yes" | "no", verbs: string, resources: string, namespace?: string][] = [
  ["yes", "get list watch", "pods services namespaces"],
  ["no", "create update patch delete", "pods services namespaces"],
  ["no", "get list watch create update patch delete", "nodes deployments.apps configmaps secrets"],
  ["yes", "get list watch create update patch delete", "meshes.kuma.io dataplanes.kuma.io"],
  ["yes", "get list watch create update patch delete", "dataplaneinsights.kuma.io dataplanehealths.kuma.io"],
  ["yes", "get list watch delete", "trafficpermissions.kuma.io trafficlogs.kuma.io trafficroutes.kuma.io"],
  ["yes", "get list watch delete", "healthchecks.kuma.io proxytemplates.kuma.io"],
  ["no", "create update patch", "trafficpermissions.kuma.io trafficlogs.kuma.io trafficroutes.kuma.io"],
  ["no", "create update patch", "healthchecks.kuma.io proxytemplates.kuma.io"],
  ["yes", "create", "tokenreviews.authentication.k8s.io"],
  ["no", "create", "subjectaccessreviews.authorization.k8s.io serviceaccounts/token pods/exec pods/eviction"],
  ["yes", "create patch", "events.events.k8s.io", "demo"],
  ["no", "get list watch delete", "events.events.k8s.io", "demo"],
  ["yes", "get list watch create update patch delete", "secrets", "kuma-system"],
  ["no", "get list watch create update patch delete", "secrets", "demo"],
  ["yes", "get list create update delete", "leases.coordination.k8s.io", "kuma-system"],
  ["no", "get list create update delete", "leases.coordination.k8s.io", "demo"],
  ["no", "get list create update patch delete escalate bind", "clusterroles.rbac.authorization.k8s.io"],
  ["no", "get update patch", "customresourcedefinitions.apiextensions.k8s.io"],
  ["yes", "get update", `${validating}=kuma-validating-webhook-configuration`],
  ["yes", "get update", `${mutating}=kuma-admission-mutating-webhook-configuration`],
  ["yes", "get update", `${mutating}=kuma-injector-webhook-configuration`],
  ["no", "create patch delete", `${mutating}=kuma-injector-webhook-configuration`],
  ["no", "get list create update patch delete", `${validating} ${mutating}`],
  ["no", "get update", `${validating}=another ${mutating}=another`],
];
for (const [allowed, verbs, resources, namespace] of permissions) {
  const may = allowed === "yes" ? "may" : "must not";
  test(`the control plane ${may} ${verbs} ${resources}${namespace === undefined ? "" : ` in ${namespace}`}`, async () => {
    const asked = resources.split(" ").flatMap((resource) => verbs.split(" ").map((verb) => ({ verb, resource })));
    const answers = await Promise.all(
      asked.map(async (one) => ({ ...one, allowed: await mayControlPlane(one.verb, one.resource, namespace) })),
    );
    assert.equal(
      answers,
      asked.map((one) => ({ ...one, allowed })),
    );
  });
}

test("the injector may do no more than anyone", async () => {
  const list = (user: string) =>
    server.kubectl(["auth", "can-i", "--list", `--as=system:serviceaccount:kuma-system:${user}`, "--no-headers"]);
  const lines = async (user: string) =>
    (await list(user))
      .split("\n")
      .map((line) => line.trim().replace(/ +/g, " "))
      .sort();
  assert.equal(await lines("kuma-injector"), await lines("default"));
});

test("what only the control plane may write, it writes without its own webhook; everyone else needs the webhook", async () => {
  const insight = JSON.stringify({
    apiVersion: "kuma.io/v1alpha1",
    kind: "DataplaneInsight",
    mesh: "default",
    metadata: { name: "web", namespace: "default" },
    status: {},
  });
  const create = (...as: string[]) => server.tryKubectl(["create", ...as, "-f", "-"], { input: insight });
  const refused = await create();
  assert.is(refused.status, 1);
  assert.match(refused.stderr, 'failed calling webhook "reserved.validator.kuma-admission.kuma.io"');
  const { status, stderr } = await create("--as=system:serviceaccount:kuma-system:kuma-control-plane");
  assert.equal([status, stderr], [0, ""]);
});

test("uninstalled without --crds, meshes and policies are left; with it, nothing is", async () => {
  const all = documentsIn(install()).map(({ kind }) => kind);
  const left = async () => {
    const kinds = [...new Set(all)].map((kind) => kind.toLowerCase()).join(",");
    const output = await server.kubectl(["get", kinds, "--all-namespaces", "-o", "name"]);
    return names(output)
      .filter((name) => /kuma(?!-root-ca)/.test(name))
      .sort();
  };
  const remove = async (...words: string[]) => {
    const input = kumactl(["uninstall", "control-plane", ...words]);
    await server.kubectl(["delete", "--ignore-not-found", "-f", "-"], { input });
  };
  await remove();
  const state = registry.types.flatMap(({ kubernetes }) => kubernetes?.plural ?? []);
  assert.equal(
    await left(),
    [
      "namespace/kuma-system",
      ...state.map((plural) => `customresourcedefinition.apiextensions.k8s.io/${plural}.kuma.io`),
    ].sort(),
  );
  await server.apply([{ apiVersion: "kuma.io/v1alpha1", kind: "Mesh", metadata: { name: "demo" }, spec: {} }]);
  await remove("--crds");
  await eventually("nothing is left", async () => (await left()).length === 0);
});

test.run();
