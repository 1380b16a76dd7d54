// deadline: 300 s
import fs from "node:fs";
import path from "node:path";
import { load } from "js-yaml";
import * as assert from "uvu/assert";
import { parseQuantity } from "../../src/lib/quantity.js";
import { issueCertificate } from "../support/certificates.js";
import { eventually } from "../support/eventually.js";
import { goldenRoot } from "../support/golden.js";
import { mountedSecret, type StartedInjector, startInjector } from "../support/injector.js";
import { suite } from "../support/suite.js";
import { type ApiServer, startApiServer } from "./api-server.js";
import { whenDefaultAccount } from "./cluster.js";

const test = suite("pods that a Kubernetes API server asks kuma-injector about", { needs: "kubernetes" });

type Raw = Record<string, unknown>;

interface Container extends Raw {
  readonly name: string;
  readonly volumeMounts?: readonly { readonly name: string; readonly mountPath: string }[];
}
interface Pod extends Raw {
  readonly metadata: {
    readonly name: string;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly spec: {
    readonly containers: readonly Container[];
    readonly initContainers?: readonly Container[];
    readonly volumes?: readonly { readonly name: string; readonly projected?: unknown }[];
  };
}

const golden = (name: string) =>
  load(fs.readFileSync(path.join(goldenRoot, "kubernetes/injection", name), "utf8")) as Pod;

let cluster: ApiServer;
/** One that makes native sidecars, because the API server is new enough, and one that was told not to. */
let injectors: Readonly<Record<"native" | "classic", StartedInjector>>;

test.before(async () => {
  cluster = await startApiServer();
  const authority = mountedSecret();
  authority.put({ "ca.crt": cluster.authority });
  const api = new URL(cluster.url);
  const env = {
    KUBERNETES_SERVICE_HOST: api.hostname,
    KUBERNETES_SERVICE_PORT: api.port,
    KUMA_INJECTOR_API_CREDENTIALS_DIR: authority.directory,
  };
  const [native, classic] = await Promise.all([startInjector({ env, args: [] }), startInjector({ env })]);
  injectors = { native, classic };
  authority.remove();
});

test.after(async () => {
  for (const injector of Object.values(injectors ?? {})) await injector.end();
  await cluster?.stop();
});

interface Webhook {
  readonly injector?: "native" | "classic";
  readonly port?: number;
  readonly failurePolicy?: "Ignore" | "Fail";
  /** Of the namespace; the webhook is asked about those with `enabled`. */
  readonly label?: string | undefined;
  readonly certificate?: string;
}

let namespaces = 0;

/** A new namespace, whose pods the API server asks an injector about as the printed manifests say. */
async function namespaceWith(webhook: Webhook = {}): Promise<string> {
  const { injector = "classic", failurePolicy = "Fail", label = "enabled" } = webhook;
  const asked = injectors[injector];
  const name = `demo-${++namespaces}`;
  const port = webhook.port ?? asked.port;
  const caBundle = Buffer.from(webhook.certificate ?? asked.certificate.cert).toString("base64");
  await cluster.apply([
    {
      apiVersion: "v1",
      kind: "Namespace",
      metadata: {
        name,
        ...("label" in webhook && webhook.label === undefined
          ? {}
          : { labels: { "kuma.io/sidecar-injection": label } }),
      },
    },
    {
      apiVersion: "admissionregistration.k8s.io/v1",
      kind: "MutatingWebhookConfiguration",
      metadata: { name },
      webhooks: [
        {
          name: "kuma-injector.kuma.io",
          clientConfig: { url: `https://127.0.0.1:${port}/inject-sidecar`, caBundle },
          rules: [
            { apiGroups: [""], apiVersions: ["v1"], resources: ["pods"], operations: ["CREATE"], scope: "Namespaced" },
          ],
          namespaceSelector: {
            matchLabels: { "kuma.io/sidecar-injection": "enabled" },
            // So that the tests of this file don't meet.
            matchExpressions: [{ key: "kubernetes.io/metadata.name", operator: "In", values: [name] }],
          },
          failurePolicy,
          sideEffects: "None",
          admissionReviewVersions: ["v1"],
          reinvocationPolicy: "IfNeeded",
          timeoutSeconds: 10,
        },
      ],
    },
  ]);
  await whenDefaultAccount(cluster, name);
  return name;
}

const pods = (namespace: string, query = "") => `/api/v1/namespaces/${namespace}/pods${query}`;

interface Refusal {
  readonly message: string;
}

const create = (namespace: string, pod: object, query = "") => cluster.request("POST", pods(namespace, query), pod);

async function created(namespace: string, pod: object, query = ""): Promise<Pod> {
  const { status, body } = await create(namespace, pod, query);
  assert.is(status, 201, JSON.stringify(body));
  return body as Pod;
}

/**
 * The API server learns of a new webhook configuration by a watch, a moment later; until then it asks nobody. So a pod
 * is created as a dry run until the webhook shows.
 */
const whenAsked = (namespace: string, shows: (status: number, body: Pod & Refusal) => boolean) =>
  eventually("the API server asks the webhook", async () => {
    const probe = { ...golden("plain.yaml"), metadata: { name: "probe" } };
    const { status, body } = await create(namespace, probe, "?dryRun=All");
    return shows(status, body as Pod & Refusal);
  });

const namesOf = (containers: readonly Container[] = []) => containers.map(({ name }) => name);
const isInjected = ({ spec }: Pod) =>
  [...namesOf(spec?.containers), ...namesOf(spec?.initContainers)].includes("kuma-sidecar");
const whenInjecting = (namespace: string) => whenAsked(namespace, (status, body) => status === 201 && isInjected(body));

/** Fails where the API server has dropped or changed a part of what was expected; its own defaults don't matter. */
function contains(whole: unknown, part: unknown, where: string): void {
  if (Array.isArray(part)) {
    assert.is((whole as unknown[] | undefined)?.length, part.length, where);
    for (const [index, element] of part.entries()) contains((whole as unknown[])[index], element, `${where}[${index}]`);
  } else if (typeof part === "object" && part !== null) {
    for (const [key, value] of Object.entries(part))
      contains((whole as Raw | undefined)?.[key], value, `${where}.${key}`);
  } else if (where.includes(".resources.")) {
    // The API server writes 1000m as 1.
    assert.is(parseQuantity(String(whole)), parseQuantity(String(part)), where);
  } else assert.is(whole, part, where);
}

const find = (containers: readonly Container[] | undefined, name: string): Container => {
  const [found, ...more] = (containers ?? []).filter((container) => container.name === name);
  if (found === undefined || more.length > 0) throw new Error(`not exactly one ${name}`);
  return found;
};

for (const form of ["classic", "native"] as const) {
  test(`a pod gets exactly what the golden file shows, in the ${form} form`, async () => {
    const namespace = await namespaceWith({ injector: form });
    await whenInjecting(namespace);
    const pod = await created(namespace, golden("plain.yaml"));
    const expected = golden(`plain.${form}.yaml`);
    const { spec, metadata } = pod;
    assert.equal(metadata.annotations, expected.metadata.annotations);
    const lists = form === "native" ? ["initContainers"] : ["initContainers", "containers"];
    for (const list of lists as ("initContainers" | "containers")[]) {
      for (const name of ["kuma-init", "kuma-sidecar"]) {
        const [wanted] = (expected.spec[list] ?? []).filter((container) => container.name === name);
        if (wanted === undefined) continue;
        const { volumeMounts, ...rest } = wanted;
        contains(find(spec[list], name), rest, `${list}.${name}`);
        // kuma-init also gets the API server's own mount, as all containers without one of their own.
        contains(
          find(spec[list], name).volumeMounts?.slice(0, volumeMounts?.length),
          volumeMounts,
          `${name}.volumeMounts`,
        );
      }
      assert.equal(namesOf(spec[list]), namesOf(expected.spec[list]));
    }
    const added = expected.spec.volumes ?? [];
    contains(
      spec.volumes?.filter(({ name }) => added.some((volume) => volume.name === name)),
      added,
      "volumes",
    );
  });
}

test("the native form is chosen because the API server is new enough", () => {
  assert.match(injectors.native.output(), /sidecars are native\t\{"apiServer":"v1\./);
});

test("a sidecar has a token for kuma and none for the API server, whatever the pod mounts itself", async () => {
  const namespace = await namespaceWith();
  await whenInjecting(namespace);
  const tokenPath = "/var/run/secrets/kubernetes.io/serviceaccount";
  const mountOf = (pod: Pod, name: string) =>
    find(pod.spec.containers, name).volumeMounts?.filter(({ mountPath }) => mountPath === tokenPath);
  const usual = await created(namespace, golden("plain.yaml"));
  assert.match(mountOf(usual, "redis")?.[0]?.name ?? "", /^kube-api-access-/);
  const { metadata, ...plain } = golden("plain.yaml");
  const without = await created(namespace, {
    ...plain,
    metadata: { ...metadata, name: "without" },
    spec: { ...plain.spec, automountServiceAccountToken: false },
  });
  assert.equal(mountOf(without, "redis") ?? [], []);
  for (const pod of [usual, without]) {
    assert.equal(
      mountOf(pod, "kuma-sidecar")?.map(({ name }) => name),
      ["kuma-token"],
    );
    const token = pod.spec.volumes?.find(({ name }) => name === "kuma-token");
    contains(
      token?.projected,
      { sources: [{ serviceAccountToken: { audience: "kuma", path: "token" } }] },
      "kuma-token",
    );
  }
});

test("a pod without a name of its own, and a dry run, are injected like any other", async () => {
  const namespace = await namespaceWith();
  await whenInjecting(namespace);
  const pod = await created(namespace, { ...golden("plain.yaml"), metadata: { generateName: "web-" } });
  assert.match(pod.metadata.name, /^web-/);
  contains(
    (find(pod.spec.containers, "kuma-sidecar").env as readonly Raw[]).find(
      ({ name }) => name === "KUMA_DATAPLANE_NAME",
    ),
    { value: "$(POD_NAME).$(POD_NAMESPACE)" },
    "KUMA_DATAPLANE_NAME",
  );
  assert.ok(isInjected(await created(namespace, golden("plain.yaml"), "?dryRun=All")));
  assert.is((await cluster.request("GET", `${pods(namespace)}/redis`)).status, 404);
});

test("pods of namespaces with another label value, or none, are not touched", async () => {
  for (const label of ["true", "Enabled", "disabled", undefined]) {
    const namespace = await namespaceWith({ label });
    const asking = await namespaceWith();
    await whenInjecting(asking);
    assert.not.ok(isInjected(await created(namespace, golden("plain.yaml"))), String(label));
  }
});

test("pods that opt out, by annotation or label, are not touched", async () => {
  const namespace = await namespaceWith();
  await whenInjecting(namespace);
  const out = { "kuma.io/sidecar-injection": "disabled" };
  for (const metadata of [{ annotations: out }, { labels: out }]) {
    assert.not.ok(
      isInjected(
        await created(namespace, { ...golden("plain.yaml"), metadata: { generateName: "out-", ...metadata } }),
      ),
    );
  }
});

test("kubectl shows denials with the annotation, and warnings", async () => {
  const namespace = await namespaceWith();
  await whenInjecting(namespace);
  const apply = (metadata: object, spec: object = {}) => {
    const { spec: plain, ...rest } = golden("plain.yaml");
    const input = JSON.stringify({ ...rest, metadata: { name: "redis", ...metadata }, spec: { ...plain, ...spec } });
    return cluster.tryKubectl(["apply", "-n", namespace, "-f", "-"], { input });
  };
  const denied = await apply({ annotations: { "traffic.kuma.io/exclude-inbound-ports": "http" } });
  assert.is(denied.status, 1);
  const problem = 'metadata.annotations["traffic.kuma.io/exclude-inbound-ports"]: "http" is not a port: write numbers';
  assert.match(denied.stderr, problem);
  const warned = await apply({}, { securityContext: { runAsUser: 5678 } });
  assert.is(warned.status, 0, warned.stderr);
  assert.match(warned.stderr, 'Warning: container "redis" runs as user 5678, like kuma-sidecar');
  // The second time the pod is only updated, and what the webhook added stays.
  const again = await apply({}, { securityContext: { runAsUser: 5678 } });
  assert.is(again.status, 0, again.stderr);
  const { body } = await cluster.request("GET", `${pods(namespace)}/redis`);
  assert.ok(isInjected(body as Pod));
});

test("pods of a Deployment are injected, and a denial is an event of its ReplicaSet", async () => {
  const namespace = await namespaceWith({ injector: "native" });
  await whenInjecting(namespace);
  const deployment = (name: string, annotations: object) => ({
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name, namespace },
    spec: {
      selector: { matchLabels: { app: name } },
      template: { metadata: { labels: { app: name }, annotations }, spec: golden("plain.yaml").spec },
    },
  });
  await cluster.apply([deployment("good", {}), deployment("bad", { "kuma.io/mesh": "No Mesh" })]);
  await eventually("the pod of the good one is injected", async () => {
    const { body } = await cluster.request("GET", pods(namespace, "?labelSelector=app%3Dgood"));
    return (body as { readonly items: readonly Pod[] }).items.some(isInjected);
  });
  await eventually("an event says what is wrong with the bad one", async () => {
    const { body } = await cluster.request("GET", `/api/v1/namespaces/${namespace}/events`);
    const events = (body as { readonly items: readonly Raw[] }).items;
    return events.some(
      ({ reason, message }) =>
        reason === "FailedCreate" && String(message).includes("the annotation kuma.io/mesh is invalid"),
    );
  });
});

test("a namespace that enforces the baseline refuses injected pods", async () => {
  const namespace = await namespaceWith();
  await whenInjecting(namespace);
  await cluster.kubectl(["label", "namespace", namespace, "pod-security.kubernetes.io/enforce=baseline"]);
  await whenAsked(namespace, (status, { message }) => status === 403 && message.includes("violates PodSecurity"));
});

test("while the injector is gone, pods are admitted without a sidecar under Ignore and refused under Fail", async () => {
  const gone = await startInjector();
  const webhook = { port: gone.port, certificate: gone.certificate.cert };
  const ignore = await namespaceWith({ ...webhook, failurePolicy: "Ignore" });
  const fail = await namespaceWith({ ...webhook, failurePolicy: "Fail" });
  await whenInjecting(ignore);
  await whenInjecting(fail);
  await gone.end();
  assert.not.ok(isInjected(await created(ignore, golden("plain.yaml"))));
  const { status, body } = await create(fail, golden("plain.yaml"));
  assert.is(status, 500);
  assert.match((body as Refusal).message, 'failed calling webhook "kuma-injector.kuma.io"');
});

test("the API server refuses a certificate without a subject alternative name, of which the log warns", async () => {
  const certificate = issueCertificate({ name: "127.0.0.1" });
  const old = await startInjector({ certificate });
  try {
    const namespace = await namespaceWith({ port: old.port, certificate: certificate.cert });
    await whenAsked(namespace, (status, { message }) => status === 500 && message.includes("failed calling webhook"));
    const { body } = await create(namespace, golden("plain.yaml"));
    assert.match((body as Refusal).message, /legacy Common Name|doesn't contain any IP SANs/);
    assert.match(old.output(), "has no subject alternative name");
  } finally {
    await old.end();
  }
});

test("a certificate that is replaced together with the webhook's caBundle is trusted without a restart", async () => {
  const own = await startInjector();
  try {
    const namespace = await namespaceWith({ port: own.port, certificate: own.certificate.cert });
    await whenInjecting(namespace);
    const next = issueCertificate({ name: "next", hosts: ["127.0.0.1"] });
    // Both authorities, so that neither order of the two changes fails a request.
    const both = Buffer.from(own.certificate.cert + next.cert).toString("base64");
    await cluster.request(
      "PATCH",
      `/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/${namespace}`,
      [{ op: "replace", path: "/webhooks/0/clientConfig/caBundle", value: both }],
      { contentType: "application/json-patch+json" },
    );
    own.replace(next);
    await eventually("the new certificate is presented", () => own.output().includes("presenting a new certificate"));
    for (let round = 0; round < 5; round += 1) {
      const metadata = { generateName: "after-" };
      assert.ok(isInjected(await created(namespace, { ...golden("plain.yaml"), metadata })));
    }
  } finally {
    await own.end();
  }
});

test.run();
