import * as assert from "uvu/assert";
import { askCluster } from "../../../src/ctl/check/cluster.js";
import { differenceIn } from "../../../src/ctl/check/difference.js";
import { skewOf, tagOf } from "../../../src/ctl/check/installation-checks.js";
import { type KubernetesState, readKubernetes } from "../../../src/ctl/check/kubernetes-state.js";
import { dataplanesWithoutPod, podsWithoutDataplane, podsWithoutSidecar } from "../../../src/ctl/check/pod-checks.js";
import type { KubeObject } from "../../../src/kubeapi/object.js";
import { crds } from "../../../src/kubernetes/crds.js";
import { UserError } from "../../../src/lib/errors.js";
import { registry } from "../../../src/resources/registry.js";
import { suite } from "../../support/suite.js";
import { ago, assertHarmless, type Case, contextWith, found, now, resultsOf, status } from "./check-stage.js";
import { tableOf } from "./check-table.js";
import { golden } from "./stage.js";

const test = suite("kumactl check: installations on Kubernetes");

const day = 24 * 3600;
const webhook = {
  configuration: "kuma-validating-webhook-configuration",
  webhook: "validator.kuma-admission.kuma.io",
  server: "Service kuma-system/kuma-control-plane",
  source: "the server",
  validity: { notBefore: ago(day), notAfter: ago(-3650 * day) },
  problem: undefined,
};
const state = (more: Partial<KubernetesState> = {}): KubernetesState => ({
  systemNamespace: "kuma-system",
  instance: "i-1",
  leader: { lease: "kuma-cp-leader", holder: "i-1", ageMs: 1_500, durationMs: 15_000 },
  denied: [],
  webhooks: [webhook],
  skipped: { total: 0, objects: [] },
  unknown: [],
  ...more,
});

const object = (
  kind: string,
  namespace: string,
  name: string,
  more: object = {},
  metadata: object = {},
): KubeObject => ({
  apiVersion: kind === "Deployment" ? "apps/v1" : "v1",
  kind,
  metadata: { name, namespace, uid: `uid-${name}`, creationTimestamp: ago(600).toISOString(), ...metadata },
  ...more,
});

const deployment = (name: string, container: string, image: string, available = 1, env: readonly object[] = []) =>
  object("Deployment", "kuma-system", name, {
    spec: { replicas: 1, template: { spec: { containers: [{ name: container, image, env }] } } },
    status: { availableReplicas: available },
  });

const sidecarImage = [{ name: "KUMA_INJECTOR_SIDECAR_CONTAINER_IMAGE", value: "r/kuma-dp:0.3.0" }];
const deployments = [
  deployment("kuma-control-plane", "control-plane", "r/kuma-cp:0.3.0"),
  deployment("kuma-injector", "kuma-injector", "r/kuma-injector:0.3.0", 1, sidecarImage),
];

interface PodOptions {
  readonly injected?: boolean;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly image?: string;
  readonly spec?: object;
  readonly metadata?: object;
  readonly phase?: string;
}

function pod(name: string, options: PodOptions = {}): KubeObject {
  const { injected = true, image = "r/kuma-dp:0.3.0", labels = { app: name }, phase = "Running" } = options;
  const annotations = { ...(injected ? { "kuma.io/sidecar-injected": "true" } : {}), ...options.annotations };
  const sidecar = injected ? [{ name: "kuma-sidecar", image }] : [];
  const spec = { containers: [{ name: "app", image: "app", ports: [{ containerPort: 8080 }] }, ...sidecar] };
  const more = { spec: { ...spec, ...options.spec }, status: { phase, podIP: "10.1.0.5" } };
  return object("Pod", "demo", name, more, { labels, annotations, ...options.metadata });
}

const service = (name: string, port: object = { port: 80, targetPort: 8080 }): KubeObject =>
  object("Service", "demo", name, { spec: { selector: { app: name }, clusterIP: "10.96.0.9", ports: [port] } });

const owner = (name: string, uid = `uid-${name}`) => [{ apiVersion: "v1", kind: "Pod", name, uid, controller: true }];
const dataplane = (name: string, metadata: object = {}): KubeObject =>
  object("Dataplane", "demo", name, { mesh: "default" }, { ownerReferences: owner(name), ...metadata });

/** A control plane that reports this, in a cluster where all is well except for what is said. */
const on = (report: Partial<KubernetesState>, cluster: Parameters<typeof contextWith>[0] = {}) =>
  contextWith({
    controlPlane: {
      status: async () => status({ store: { type: "kubernetes", problem: undefined }, kubernetes: state(report) }),
    },
    cluster: {
      chosen: "environment",
      server: async () => ({ address: "https://10.96.0.1", version: "v1.37.0" }),
      hasKuma: async () => true,
      crd: async (name) => {
        const crd = crds(registry).find(({ metadata }) => metadata.name === name);
        const conditions = [{ type: "Established", status: "True" }];
        return crd && { ...crd, metadata: crd.metadata, status: { conditions } };
      },
      deployment: async (_, name) => deployments.find(({ metadata }) => metadata.name === name),
      pods: async () => [pod("web")],
      services: async () => [service("web")],
      dataplanes: async () => [dataplane("web")],
      injectedNamespaces: async () => new Set(["demo"]),
      ...cluster.cluster,
    },
  });

const forbidden = async () => {
  throw UserError.of("kubernetes.forbidden", { reason: 'pods is forbidden: User "u" cannot list resource "pods"' });
};
const noCredentials = async () => {
  throw UserError.of("kubernetes.no-credentials", { serviceHost: "not set", home: "/root/.kube/config" });
};
const judged = (more: object) => on({ webhooks: [{ ...webhook, ...more }] });

const cases: readonly Case[] = [
  ["all is well", "kubernetes-report", on({}), /^success: namespace kuma-system$/],
  [
    "a part is unknown",
    "kubernetes-report",
    on({ leader: undefined, unknown: ["the Lease of the leader: forbidden"] }),
    /^error: .*the Lease of the leader: forbidden FIX/,
  ],
  ["a part is unknown", "kubernetes-leader", on({ leader: undefined }), /^does not apply$/],
  ["this one leads", "kubernetes-leader", on({}), /^success: i-1, which answers here$/],
  [
    "nobody leads",
    "kubernetes-leader",
    on({ leader: { lease: "kuma-cp-leader", holder: "", ageMs: 0, durationMs: 15_000 } }),
    /^error: no control plane holds the Lease kuma-system\/kuma-cp-leader: .* FIX look into the logs/,
  ],
  [
    "a leader that is gone",
    "kubernetes-leader",
    on({ leader: { lease: "kuma-cp-leader", holder: "i-2", ageMs: 31_000, durationMs: 15_000 } }),
    /^error: the Lease \S+ of instance i-2 was last renewed 31s ago: /,
  ],
  [
    "a Lease that was never renewed",
    "kubernetes-leader",
    on({ leader: { lease: "kuma-cp-leader", holder: "i-2", ageMs: undefined, durationMs: 15_000 } }),
    /^error: .* was last renewed never/,
  ],
  [
    "a permission is missing",
    "kubernetes-permissions",
    on({ denied: ["list pods", 'update "x"'] }),
    /^error: it may not list pods\|it may not update "x" FIX .*kumactl install control-plane/,
  ],
  [
    "a webhook is not trusted",
    "kubernetes-webhooks",
    judged({ problem: "no certificate in the caBundle has issued it" }),
    /^error: webhook validator\.kuma-admission\.kuma\.io \(kuma-validating-webhook-configuration\) of Service kuma-system\/kuma-control-plane: no certificate/,
  ],
  [
    "a configuration is missing",
    "kubernetes-webhooks",
    judged({ webhook: "", server: "", validity: undefined, problem: "it does not exist" }),
    /^error: the configuration kuma-validating-webhook-configuration: it does not exist/,
  ],
  [
    "a certificate has expired",
    "kubernetes-certificates",
    judged({ validity: { notBefore: ago(day), notAfter: now } }),
    /^error: the certificate of webhook .*, as the server has it, expired at 2026-01-01T12:00:00\.000Z/,
  ],
  [
    "a certificate expires soon",
    "kubernetes-certificates",
    judged({ validity: { notBefore: ago(300 * day), notAfter: ago(-29 * day) } }),
    /^warning: .* expires in 696h0m0s/,
  ],
  [
    "a certificate of the future",
    "kubernetes-certificates",
    judged({ validity: { notBefore: ago(-60), notAfter: ago(-day) } }),
    /^error: .* is not valid before/,
  ],
  ["no certificate is known", "kubernetes-certificates", judged({ validity: undefined }), /^does not apply$/],
  [
    "an object is skipped",
    "kubernetes-objects",
    on({
      skipped: {
        total: 3,
        objects: [{ type: "Mesh", name: "odd", partial: false, reason: "mtls: expected an object" }],
      },
    }),
    /^error: Mesh odd has no effect: mtls: expected an object\|and 2 more FIX/,
  ],
  [
    "an object is invalid",
    "kubernetes-objects",
    on({
      skipped: { total: 1, objects: [{ type: "Mesh", name: "odd", partial: true, reason: "mtls.ca: must be set" }] },
    }),
    /^warning: Mesh odd has effect only where it is valid: mtls\.ca: must be set FIX/,
  ],
  [
    "no credentials",
    "kubernetes-api",
    on({}, { cluster: { chosen: undefined, server: noCredentials } }),
    /^warning: the CRDs, Deployments and pods of the cluster are not checked: There are no credentials .* FIX set KUBECONFIG/,
  ],
  [
    "no credentials",
    "kubernetes-crds",
    on({}, { cluster: { chosen: undefined, server: noCredentials } }),
    /^does not apply$/,
  ],
  ["a bad kubeconfig", "kubernetes-api", on({}, { cluster: { server: noCredentials } }), /^error: /],
  [
    "a bad kubeconfig",
    "kubernetes-crds",
    on({}, { cluster: { server: noCredentials } }),
    /^skipped until kumactl can ask/,
  ],
  [
    "a user without permissions",
    "kubernetes-pods",
    on({}, { cluster: { pods: forbidden } }),
    /^warning: this is not checked: .*pods is forbidden/,
  ],
  [
    "a control plane elsewhere, with a KUBECONFIG for something else",
    "kubernetes-api",
    contextWith({ cluster: { chosen: "environment", hasKuma: async () => true } }),
    /^does not apply$/,
  ],
  [
    "a CRD is missing",
    "kubernetes-crds",
    on({}, { cluster: { crd: async () => undefined } }),
    /^error: there is no CRD \S+\.kuma\.io\|there is no CRD/,
  ],
  [
    "no instance of the injector is available",
    "kubernetes-deployments",
    on(
      {},
      { cluster: { deployment: async (_, name) => deployment(name, "c", "i", name === "kuma-injector" ? 0 : 1) } },
    ),
    /^error: 0 of 1 instances of Deployment kuma-system\/kuma-injector are available FIX/,
  ],
  [
    "nothing is installed, and the control plane answers",
    "kubernetes-deployments",
    on({}, { cluster: { deployment: async () => undefined } }),
    /^error: there is no Deployment kuma-system\/kuma-injector FIX/,
  ],
  [
    "no namespace with injection",
    "kubernetes-injection",
    on({}, { cluster: { injectedNamespaces: async () => new Set<string>() } }),
    /^does not apply$/,
  ],
];

for (const [what, id, context, expected] of cases) {
  test(`${id}: ${what}`, async () => assert.match(await found(id, context), expected));
}

test("no hint suggests deleting anything", () => assertHarmless(cases));

test("the table of an installation that is well is as reviewed", async () => {
  const table = golden("check-kubernetes-well.txt", await tableOf(on({})));
  assert.is(table.actual, table.expected);
});

test("the table of one that is ill is as reviewed", async () => {
  const ill = on(
    {
      denied: ["create events.events.k8s.io"],
      leader: { lease: "kuma-cp-leader", holder: "i-2", ageMs: 95_000, durationMs: 15_000 },
      webhooks: [
        {
          ...webhook,
          problem: "its certificate, as the server has it, is rejected: no certificate in the caBundle has issued it",
        },
      ],
      skipped: {
        total: 1,
        objects: [{ type: "TrafficPermission", name: "demo/odd", partial: false, reason: "sources: expected a list" }],
      },
    },
    {
      cluster: {
        pods: async () => [pod("web", { image: "r/kuma-dp:0.2.9" }), pod("lonely"), pod("missed", { injected: false })],
        dataplanes: async () => [dataplane("web"), dataplane("gone")],
      },
    },
  );
  const table = golden("check-kubernetes-ill.txt", await tableOf(ill));
  assert.is(table.actual, table.expected);
});

test("without Kubernetes nothing is said about it, and no credentials are looked for", async () => {
  const never = async (): Promise<never> => {
    throw new Error("the cluster was asked");
  };
  const cluster = { server: never, hasKuma: never };
  for (const controlPlane of [{}, { index: async () => ({ status: 500, tagline: "", version: "", ahead: 0 }) }]) {
    const results = await resultsOf(contextWith({ controlPlane, cluster }));
    assert.not.ok(results.some(({ category }) => category === "Kubernetes"));
  }
});

test("a kubeconfig is chosen by its flag, then by KUBECONFIG", () => {
  assert.is(askCluster("f", { KUBECONFIG: "g" }).chosen, "flag");
  assert.is(askCluster(undefined, { KUBECONFIG: "g" }).chosen, "environment");
  assert.is(askCluster(undefined, { KUBECONFIG: "" }).chosen, undefined);
});

test("what a control plane reports is read whatever its form", () => {
  assert.is(readKubernetes(undefined), undefined);
  assert.is(readKubernetes([]), undefined);
  const odd = readKubernetes({
    leader: 1,
    denied: "x",
    webhooks: [1, { validity: 2 }],
    skipped: { total: -1, objects: 3 },
    unknown: [1],
  });
  assert.equal(
    [odd?.leader, odd?.denied, odd?.webhooks?.length, odd?.skipped.total, odd?.unknown],
    [undefined, undefined, 1, 0, []],
  );
  const one = readKubernetes({
    skipped: {
      total: 1,
      objects: [
        { type: "Mesh", name: "a", reason: "r" },
        { namespace: "n", name: "b" },
      ],
    },
  });
  assert.equal(
    one?.skipped.objects.map(({ name }) => name),
    ["a", "n/b"],
  );
});

test("pods that have ended, start, end, or are of another mesh lack no Dataplane", () => {
  const pods = [
    pod("done", { phase: "Succeeded" }),
    pod("leaving", { metadata: { deletionTimestamp: now.toISOString() } }),
    pod("other", { annotations: { "kuma.io/mesh": "other" } }),
    pod("plain", { injected: false }),
    pod("young", { metadata: { creationTimestamp: ago(5).toISOString() } }),
    pod("late"),
    pod("udp"),
  ];
  const services = [service("young"), service("late"), service("udp", { port: 53, protocol: "UDP" })];
  const { never, late } = podsWithoutDataplane({ pods, services, dataplanes: [], mesh: "default", now });
  assert.equal(
    late.map((reason) => reason.split(" ")[1]),
    ["demo/late"],
  );
  assert.equal(never, [
    "pod demo/udp has a sidecar and no Dataplane, as no TCP port of Service udp leads to a port of it: its sidecar gets no configuration",
  ]);
});

test("a pod that the injector leaves alone on purpose is not missed", () => {
  const pods = [
    pod("out", { injected: false, annotations: { "kuma.io/sidecar-injection": "disabled" } }),
    pod("host", { injected: false, spec: { hostNetwork: true } }),
    pod("static", { injected: false, annotations: { "kubernetes.io/config.mirror": "x" } }),
    pod("done", { injected: false, phase: "Failed" }),
    pod("has"),
    pod("missed", { injected: false }),
  ];
  const names = (namespaces: readonly string[], system = "kuma-system") =>
    podsWithoutSidecar(pods, new Set(namespaces), system).map((reason) => reason.split(" ")[1]);
  assert.equal(names(["demo"]), ["demo/missed"]);
  assert.equal(names(["other"]), []);
  assert.equal(names(["demo"], "demo"), []);
});

test("a Dataplane whose pod is gone or is another one by now is named, unless it is new or on its way out", () => {
  const dataplanes = [
    dataplane("web"),
    dataplane("gone"),
    dataplane("again", { ownerReferences: owner("again", "uid-of-before") }),
    dataplane("new", { creationTimestamp: ago(3).toISOString() }),
    dataplane("leaving", { deletionTimestamp: now.toISOString() }),
    dataplane("own", { ownerReferences: [] }),
  ];
  const pods = [pod("web"), pod("again")];
  const all = { pods, services: [], dataplanes, now };
  assert.equal(dataplanesWithoutPod({ ...all, mesh: undefined }), [
    'Dataplane demo/gone belongs to pod "gone", which is gone',
    'Dataplane demo/again belongs to pod "again", which is gone',
  ]);
  assert.equal(dataplanesWithoutPod({ ...all, mesh: "other" }), []);
});

test("versions are those of tags, and a tag of somebody's own says nothing", () => {
  assert.is(tagOf("localhost:5000/kuma-cp"), undefined);
  assert.is(tagOf("localhost:5000/kuma-cp:0.3.0@sha256:ab"), "0.3.0");
  const [controlPlane, injector] = deployments;
  const same = { version: "0.3.0", controlPlane, injector, pods: [pod("web")] };
  assert.equal(skewOf(same), []);
  assert.equal(skewOf({ ...same, controlPlane: undefined, injector: undefined }), []);
  assert.match(
    skewOf({ ...same, version: "0.3.1" })[0] ?? "",
    /^the control plane that answers is 0\.3\.1, its Deployment/,
  );
  const custom = deployment("kuma-control-plane", "control-plane", "r/kuma-cp:prod");
  const sidecar = [{ name: "KUMA_INJECTOR_SIDECAR_CONTAINER_IMAGE", value: "r/kuma-dp:prod" }];
  const customInjector = deployment("kuma-injector", "kuma-injector", "r/kuma-injector:prod", 1, sidecar);
  assert.equal(skewOf({ version: "0.3.0", controlPlane: custom, injector: customInjector, pods: [] }), []);
  const many = Array.from({ length: 7 }, (_, index) => pod(`p${index}`, { image: "r/kuma-dp:0.2.9" }));
  assert.equal(skewOf({ ...same, pods: many }), [
    "sidecars run r/kuma-dp:0.2.9, new pods get r/kuma-dp:0.3.0: demo/p0, demo/p1, demo/p2, demo/p3, demo/p4, and 2 more",
  ]);
  const older = deployment("kuma-injector", "kuma-injector", "r/kuma-injector:0.2.9", 1, sidecarImage);
  assert.equal(skewOf({ ...same, injector: older }), [
    "the injector has the image r/kuma-injector:0.2.9, the control plane r/kuma-cp:0.3.0",
    "the injector has the image r/kuma-injector:0.2.9 and gives pods sidecars of r/kuma-dp:0.3.0",
  ]);
});

test("defaults that an API server adds are no difference, what it lacks is one", () => {
  assert.is(differenceIn({ a: [{ b: 1 }] }, { a: [{ b: 1, c: 2 }], d: 3 }, "spec"), undefined);
  assert.is(differenceIn({ a: [1] }, { a: [1, 2] }, "spec"), "spec.a has 2 elements and should have 1");
  assert.is(differenceIn({ a: { b: true } }, { a: "x" }, "spec"), 'spec.a is "x" and should be an object');
  assert.is(differenceIn({ a: true }, {}, "spec"), "spec.a is nothing and should be true");
});

test.run();
