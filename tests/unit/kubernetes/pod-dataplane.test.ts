import * as assert from "uvu/assert";
import { readPod } from "../../../src/kubernetes/controllers/pod.js";
import {
  dataplaneOf,
  inboundsOf,
  outboundsOf,
  type PodDataplane,
  servicesIn,
} from "../../../src/kubernetes/controllers/pod-dataplane.js";
import { type KubeService, parseServiceTag, readService } from "../../../src/kubernetes/controllers/service.js";
import { dataplaneType } from "../../../src/resources/dataplane.js";
import { decode } from "../../../src/resources/schema.js";
import { suite } from "../../support/suite.js";

const test = suite("the Dataplane of a pod");

const injected = {
  "kuma.io/sidecar-injected": "true",
  "kuma.io/mesh": "default",
  "kuma.io/transparent-proxying": "enabled",
  "kuma.io/transparent-proxying-port": "15001",
};

interface PodParts {
  readonly labels?: Record<string, unknown>;
  readonly annotations?: Record<string, unknown>;
  readonly spec?: Record<string, unknown>;
  readonly status?: Record<string, unknown>;
  readonly deletionTimestamp?: string;
}

const container = (ports: readonly unknown[], name = "app") => ({ name, ports });
const app = { containers: [container([{ containerPort: 8080 }, { name: "metrics", containerPort: 6060 }])] };

function pod({ labels = { app: "web" }, annotations = injected, spec = app, status = {}, ...meta }: PodParts = {}) {
  const metadata = { namespace: "demo", name: "p1", uid: "u1", labels, annotations, ...meta };
  // What the API server sends is not checked before: a field may have any form.
  return readPod({
    apiVersion: "v1",
    kind: "Pod",
    metadata: metadata as never,
    spec,
    status: { phase: "Running", podIP: "10.1.0.5", ...status },
  });
}

function service(name: string, ports: readonly unknown[], spec: Record<string, unknown> = {}, namespace = "demo") {
  const metadata = { namespace, name };
  const whole = { selector: { app: "web" }, clusterIP: "10.96.0.7", ports, ...spec };
  return readService({ apiVersion: "v1", kind: "Service", metadata, spec: whole });
}

const web = service("web", [
  { port: 80, targetPort: 8080, protocol: "TCP" },
  { port: 6061, targetPort: "metrics", protocol: "TCP" },
  { port: 53, targetPort: 53, protocol: "UDP" },
]);

const made = (of: ReturnType<typeof pod>, services: readonly KubeService[]): PodDataplane =>
  dataplaneOf(of, inboundsOf(of, services), []);

const interfaces = (of: ReturnType<typeof pod>, services: readonly KubeService[]) =>
  inboundsOf(of, services).map(({ interface: written, tags }) => `${written} ${tags?.service}`);

const reason = (of: ReturnType<typeof pod>, services: readonly KubeService[] = [web]) => {
  const result = made(of, services);
  return result.kind === "none" ? result.reason : result.kind;
};

test("every TCP port of a Service that selects the pod is an inbound", () => {
  assert.equal(made(pod({ labels: { app: "web", version: "v1" } }), [web]), {
    kind: "dataplane",
    mesh: "default",
    spec: {
      networking: {
        inbound: [
          { interface: "10.1.0.5:8080:8080", tags: { app: "web", version: "v1", service: "web.demo.svc:80" } },
          { interface: "10.1.0.5:6060:6060", tags: { app: "web", version: "v1", service: "web.demo.svc:6061" } },
        ],
        transparentProxying: { redirectPort: 15001 },
      },
    },
  });
});

test("what is made is in the normal form, so that reading it back shows no difference", () => {
  for (const annotations of [injected, { ...injected, "kuma.io/transparent-proxying-port": "x" }]) {
    const result = made(pod({ annotations }), [web]);
    if (result.kind !== "dataplane") throw new Error(result.kind);
    const { value, unknown } = decode(dataplaneType.schema, result.spec, "strict");
    assert.equal(value, result.spec);
    assert.equal(unknown, []);
  }
});

test("an integer targetPort needs no declaration by a container, a name does", () => {
  const spec = { containers: [container([])] };
  assert.equal(interfaces(pod({ spec }), [service("s", [{ port: 80, targetPort: 9 }])]), [
    "10.1.0.5:9:9 s.demo.svc:80",
  ]);
  assert.equal(interfaces(pod({ spec }), [service("s", [{ port: 80, targetPort: "http" }])]), []);
});

test("a port without targetPort leads to the port of the same number", () => {
  const variants = [{ port: 81 }, { port: 81, targetPort: 0 }, { port: 81, targetPort: "" }];
  for (const port of variants) {
    assert.equal(interfaces(pod(), [service("s", [port])]), ["10.1.0.5:81:81 s.demo.svc:81"]);
  }
});

test("a name is looked up in all containers, native sidecars last, and never in kuma-sidecar", () => {
  const named = (containerPort: number, name = "http", protocol = "TCP") => [{ name, containerPort, protocol }];
  const first = service("s", [{ port: 80, targetPort: "http" }]);
  const spec = (parts: object) => pod({ spec: { ...parts } });
  const sidecar = container(named(1), "kuma-sidecar");
  assert.equal(interfaces(spec({ containers: [sidecar, container(named(2)), container(named(3), "b")] }), [first]), [
    "10.1.0.5:2:2 s.demo.svc:80",
  ]);
  const native = { ...container(named(4), "proxy"), restartPolicy: "Always" };
  const once = container(named(5), "init");
  assert.equal(interfaces(spec({ containers: [container([])], initContainers: [once, native] }), [first]), [
    "10.1.0.5:4:4 s.demo.svc:80",
  ]);
  assert.equal(interfaces(spec({ containers: [container([])], initContainers: [once] }), [first]), []);
  assert.equal(interfaces(spec({ containers: [container(named(6, "http", "UDP"))] }), [first]), []);
});

test("ports of other protocols than TCP are no inbounds, one without a protocol is TCP", () => {
  const ports = [
    { port: 1, protocol: "UDP" },
    { port: 2, protocol: "SCTP" },
    { port: 3, protocol: "TCP" },
    { port: 4 },
  ];
  assert.equal(interfaces(pod(), [service("s", ports)]), ["10.1.0.5:3:3 s.demo.svc:3", "10.1.0.5:4:4 s.demo.svc:4"]);
});

test("Services come in the order of their names, their ports in the order of the Service", () => {
  const b = service("b", [{ port: 2 }, { port: 1 }]);
  const a = service("a", [{ port: 3 }]);
  const expected = ["10.1.0.5:3:3 a.demo.svc:3", "10.1.0.5:2:2 b.demo.svc:2", "10.1.0.5:1:1 b.demo.svc:1"];
  assert.equal(interfaces(pod(), [b, a]), expected);
  assert.equal(interfaces(pod(), [a, b]), expected);
});

test("two Services for one port of the pod are two inbounds with one interface, which is valid", () => {
  const both = [service("a", [{ port: 80, targetPort: 8080 }]), service("b", [{ port: 81, targetPort: 8080 }])];
  assert.equal(interfaces(pod(), both), ["10.1.0.5:8080:8080 a.demo.svc:80", "10.1.0.5:8080:8080 b.demo.svc:81"]);
  assert.is(made(pod(), both).kind, "dataplane");
});

test("a selector has to be a subset of the labels", () => {
  const selecting = (selector: unknown) =>
    interfaces(pod({ labels: { app: "web", tier: "1" } }), [service("s", [{ port: 80 }], { selector })]).length;
  assert.is(selecting({ app: "web" }), 1);
  assert.is(selecting({ app: "web", tier: "1" }), 1);
  assert.is(selecting({ app: "web", tier: "2" }), 0);
  assert.is(selecting({ app: "web", other: "" }), 0);
  assert.is(selecting({ constructor: "x" }), 0);
});

test("a Service with an empty selector, without one, or of type ExternalName selects no pod", () => {
  for (const spec of [{ selector: {} }, { selector: undefined }, { type: "ExternalName" }]) {
    assert.equal(interfaces(pod(), [service("s", [{ port: 80 }], spec)]), []);
  }
});

test("a Service of another namespace selects no pod", () => {
  assert.equal(interfaces(pod(), [service("s", [{ port: 80 }], {}, "other")]), []);
});

test("a headless Service has inbounds", () => {
  assert.equal(interfaces(pod(), [service("s", [{ port: 80 }], { clusterIP: "None" })]), [
    "10.1.0.5:80:80 s.demo.svc:80",
  ]);
});

test("labels with an empty value, and those that no tag may have, are left out", () => {
  const long = `${"x".repeat(253)}/name`;
  const labels = { app: "web", empty: "", service: "mine", [long]: "v" };
  const [inbound] = inboundsOf(pod({ labels }), [service("s", [{ port: 80 }])]);
  assert.equal(inbound?.tags, { app: "web", service: "s.demo.svc:80" });
  assert.is(made(pod({ labels }), [service("s", [{ port: 80 }])]).kind, "dataplane");
});

test("more labels than an inbound may have tags do not make the Dataplane invalid", () => {
  const labels = Object.fromEntries([["app", "web"], ...Array.from({ length: 400 }, (_, n) => [`l${n}`, "v"])]);
  const result = made(pod({ labels }), [web]);
  if (result.kind !== "dataplane") throw new Error(result.kind);
  decode(dataplaneType.schema, result.spec, "strict");
});

test("the mesh is that of the annotation; absent or empty it is default", () => {
  const mesh = (annotations: Record<string, unknown>) => pod({ annotations: { ...injected, ...annotations } }).mesh;
  assert.is(mesh({ "kuma.io/mesh": "pilot" }), "pilot");
  assert.is(mesh({ "kuma.io/mesh": "" }), "default");
  assert.is(mesh({ "kuma.io/mesh": undefined }), "default");
});

test("a port annotation that is not a port redirects to port 0, and without redirection there is no field", () => {
  const proxying = (annotations: Record<string, string>) => {
    const result = made(pod({ annotations: { ...injected, ...annotations } }), [web]);
    return result.kind === "dataplane" ? result.spec.networking?.transparentProxying : result;
  };
  assert.equal(proxying({}), { redirectPort: 15001 });
  for (const port of ["x", "", "-1", "65536", "15001 ", "1e3"]) {
    assert.equal(proxying({ "kuma.io/transparent-proxying-port": port }), {}, port);
  }
  assert.is(proxying({ "kuma.io/transparent-proxying": "disabled" }), undefined);
});

test("a pod that has no sidecar, shares its machine's network, has ended or has no address has no Dataplane", () => {
  assert.is(reason(pod()), "dataplane");
  assert.is(reason(pod({ annotations: {} })), "not-injected");
  assert.is(reason(pod({ annotations: { ...injected, "kuma.io/sidecar-injected": "false" } })), "not-injected");
  assert.is(reason(pod({ spec: { ...app, hostNetwork: true } })), "host-network");
  assert.is(reason(pod({ status: { phase: "Succeeded" } })), "finished");
  assert.is(reason(pod({ status: { phase: "Failed" } })), "finished");
  assert.is(reason(pod({ status: { podIP: undefined } })), "no-address");
});

test("a pod that is pending, not ready or terminating has one", () => {
  assert.is(reason(pod({ status: { phase: "Pending" } })), "dataplane");
  assert.is(reason(pod({ status: { conditions: [{ type: "Ready", status: "False" }] } })), "dataplane");
  const terminating = pod({ deletionTimestamp: "2026-01-01T00:00:00Z" });
  assert.is(terminating.terminating, true);
  assert.is(reason(terminating), "dataplane");
});

test("a pod without a Service has no Dataplane", () => {
  assert.is(reason(pod(), []), "no-service");
  assert.is(reason(pod({ labels: {} }), [web]), "no-service");
});

test("an IPv6 address is written in brackets", () => {
  const ipv6 = pod({ status: { podIP: "fd00::5", podIPs: [{ ip: "fd00::5" }, { ip: "10.1.0.5" }] } });
  assert.equal(interfaces(ipv6, [service("s", [{ port: 80 }])]), ["[fd00::5]:80:80 s.demo.svc:80"]);
});

test("a Dataplane that would be invalid is not made, and the problem is told", () => {
  const result = made(pod(), [service("s", [{ port: 80, targetPort: 15001 }])]);
  assert.is(result.kind, "invalid");
  assert.match(result.kind === "invalid" ? result.problem : "", "networking.inbound[0].interface: ");
});

test("fields of unexpected forms are read as absent", () => {
  const odd = readPod({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { namespace: "demo", name: "p", labels: { a: 1 }, annotations: null } as never,
    spec: { containers: [null, 7, { ports: "x" }, { ports: [{ containerPort: "80" }] }], initContainers: {} },
    status: [],
  });
  assert.equal([odd.labels, odd.ports, odd.ip, odd.injected], [{}, [], "", false]);
  const service = readService({ apiVersion: "v1", kind: "Service", metadata: { name: "s" }, spec: { ports: [{}, 1] } });
  assert.equal([service.ports, service.clusterIp, service.selector], [[], undefined, {}]);
});

const address = (name: string, spec: Record<string, unknown> = {}, ports: readonly unknown[] = [{ port: 80 }]) =>
  service(name, ports, spec);

function outbounds(tags: readonly string[], ...services: readonly KubeService[]) {
  const known = new Map(services.map((one) => [`${one.namespace}/${one.name}`, one]));
  return outboundsOf(tags, (namespace, name) => known.get(`${namespace}/${name}`)).map(
    ({ interface: written, service: tag }) => `${written} ${tag}`,
  );
}

test("outbounds have the virtual address of each service that has Dataplanes, sorted by service as text", () => {
  const a = address("a", { clusterIP: "10.96.0.1" }, [{ port: 80 }, { port: 443 }]);
  const b = address("b", { clusterIP: "10.96.0.2" });
  assert.equal(outbounds(["b.demo.svc:80", "a.demo.svc:80", "a.demo.svc:443", "b.demo.svc:80"], a, b), [
    "10.96.0.1:443 a.demo.svc:443",
    "10.96.0.1:80 a.demo.svc:80",
    "10.96.0.2:80 b.demo.svc:80",
  ]);
});

test("a service that is gone, headless, external, without an address or without the port has no outbound", () => {
  const tags = ["a.demo.svc:80"];
  assert.equal(outbounds(tags), []);
  assert.equal(outbounds(tags, address("a", { clusterIP: "None" })), []);
  assert.equal(outbounds(tags, address("a", { clusterIP: "" })), []);
  assert.equal(outbounds(tags, address("a", { clusterIP: undefined })), []);
  assert.equal(outbounds(tags, address("a", { type: "ExternalName" })), []);
  assert.equal(outbounds(tags, address("a", {}, [{ port: 81 }])), []);
  assert.equal(outbounds(tags, address("a", {}, [{ port: 80, protocol: "UDP" }])), []);
});

test("a bad tag or a bad address costs no other outbound", () => {
  const bad = [
    "redis",
    "a.b",
    "a.demo:80",
    "a.demo.svc",
    "a.demo.svc:",
    "x.y.z.svc:80",
    ".demo.svc:80",
    "a.demo.svc:8x",
  ];
  for (const tag of bad) assert.is(parseServiceTag(tag), undefined, tag);
  assert.equal(outbounds([...bad, "a.demo.svc:80"], address("a")), ["10.96.0.7:80 a.demo.svc:80"]);
  const odd = address("odd", { clusterIP: "here" });
  assert.equal(outbounds(["odd.demo.svc:80", "a.demo.svc:80"], odd, address("a")), ["10.96.0.7:80 a.demo.svc:80"]);
});

test("the services of inbounds are counted once", () => {
  const of = inboundsOf(pod(), [web, service("x", [{ port: 1 }])]);
  assert.equal([...servicesIn([...of, ...of])], ["web.demo.svc:80", "web.demo.svc:6061", "x.demo.svc:1"]);
});

test.run();
