import * as assert from "uvu/assert";
import { objectName } from "../../../src/kubernetes/controllers/object-name.js";
import { readPod } from "../../../src/kubernetes/controllers/pod.js";
import { createPodIndex } from "../../../src/kubernetes/controllers/pod-index.js";
import { readService } from "../../../src/kubernetes/controllers/service.js";
import { readStoredDataplane } from "../../../src/kubernetes/controllers/stored-dataplane.js";
import { suite } from "../../support/suite.js";

const test = suite("what a change of a pod, Service or Dataplane concerns");

const pod = (name: string, app: string, more: { mesh?: string; ip?: string; phase?: string; status?: object } = {}) =>
  readPod({
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      namespace: "demo",
      name,
      uid: name,
      labels: { app },
      annotations: { "kuma.io/sidecar-injected": "true", "kuma.io/mesh": more.mesh ?? "default" },
    },
    spec: {},
    status: { phase: more.phase ?? "Running", podIP: more.ip ?? "10.1.0.1", ...more.status },
  });

const service = (app: string, spec: object = {}) =>
  readService({
    apiVersion: "v1",
    kind: "Service",
    metadata: { namespace: "demo", name: app },
    spec: { selector: { app }, clusterIP: "10.96.0.1", ports: [{ port: 80 }], ...spec },
  });

const dataplane = (name: string, tag: string, version = "1") =>
  readStoredDataplane({
    apiVersion: "kuma.io/v1alpha1",
    kind: "Dataplane",
    mesh: "default",
    metadata: { namespace: "demo", name, uid: `d-${name}`, resourceVersion: version },
    spec: { networking: { inbound: [{ interface: "10.1.0.1:80:80", tags: { service: tag } }] } },
  });

function stage() {
  const due: string[] = [];
  const meshes: string[] = [];
  const index = createPodIndex({
    due: (name) => due.push(name.replace("demo/", "")),
    outboundsMayDiffer: (mesh) => meshes.push(mesh),
  });
  return {
    index,
    /** What was heard since the last call. */
    heard: () => [[...new Set(due.splice(0))].sort(), [...new Set(meshes.splice(0))].sort()],
    outbounds: (mesh = "default") => index.outbounds(mesh).map((outbound) => outbound.service),
  };
}

test("the first pod of a service changes the outbounds of its mesh, the second does not", () => {
  const { index, heard, outbounds } = stage();
  index.setService(service("web"));
  assert.equal(heard(), [[], []]);
  index.setPod(pod("a", "web"));
  assert.equal(heard(), [["a"], ["default"]]);
  index.setPod(pod("b", "web"));
  assert.equal(heard(), [["b"], []]);
  assert.equal(outbounds(), ["web.demo.svc:80"]);
  index.deletePod(objectName("demo", "a"));
  assert.equal(heard(), [["a"], []]);
  index.deletePod(objectName("demo", "b"));
  assert.equal(heard(), [["b"], ["default"]]);
  assert.equal(outbounds(), []);
});

test("what kubelets write into a pod's status, and does not concern its Dataplane, concerns nobody", () => {
  const { index, heard } = stage();
  index.setPod(pod("a", "web"));
  heard();
  index.setPod(pod("a", "web", { status: { conditions: [{ type: "Ready" }], containerStatuses: [{}] } }));
  assert.equal(heard(), [[], []]);
  index.setPod(pod("a", "web", { ip: "10.1.0.2" }));
  assert.equal(heard(), [["a"], []]);
});

test("a Service concerns the pods that it selects or selected; its address those of all meshes that know it", () => {
  const { index, heard } = stage();
  index.listPods([pod("a", "web"), pod("b", "db"), pod("c", "db", { mesh: "pilot" })]);
  index.listServices([service("web"), service("db")]);
  heard();
  index.setService(service("web"));
  assert.equal(heard(), [[], []], "nothing differs");
  index.setService(service("db", { ports: [{ port: 80, targetPort: 81 }] }));
  assert.equal(heard(), [
    ["b", "c"],
    ["default", "pilot"],
  ]);
  index.setService(service("web", { clusterIP: "10.96.0.9" }));
  assert.equal(heard(), [[], ["default"]]);
  index.deleteService(service("web"));
  assert.equal(heard(), [["a"], ["default"]]);
});

test("the outbounds are the same list until they change", () => {
  const { index } = stage();
  index.setService(service("web"));
  index.setPod(pod("a", "web"));
  const before = index.outbounds("default");
  index.setPod(pod("b", "web"));
  assert.is(index.outbounds("default"), before);
});

test("a Dataplane that a user made offers its services, one of a pod those that follow from the pod", () => {
  const { index, heard, outbounds } = stage();
  index.setService(service("web"));
  index.setService(service("old"));
  index.setDataplane(dataplane("manual", "old.demo.svc:80"));
  assert.equal(heard(), [[], ["default"]]);
  index.setPod(pod("a", "web"));
  index.setDataplane(dataplane("a", "stale.demo.svc:80"));
  assert.equal(outbounds(), ["old.demo.svc:80", "web.demo.svc:80"]);
  index.deleteDataplane(objectName("demo", "manual"));
  assert.equal(outbounds(), ["web.demo.svc:80"]);
});

test("a pod whose Dataplane can't be written offers what is stored, until it can", () => {
  const { index, heard, outbounds } = stage();
  index.setService(service("web"));
  index.setPod(pod("a", "web"));
  heard();
  index.setFailing(objectName("demo", "a"), true);
  assert.equal([outbounds(), heard()[1]], [[], ["default"]]);
  index.setFailing(objectName("demo", "a"), false);
  assert.equal([outbounds(), heard()[1]], [["web.demo.svc:80"], ["default"]]);
});

test("an answer counts unless the watch told of the Dataplane meanwhile, which then is due again", () => {
  const { index, heard } = stage();
  const name = objectName("demo", "a");
  index.setPod(pod("a", "web"));
  index.setDataplane(dataplane("a", "web", "1"));
  index.asking(name)(dataplane("a", "web", "2"));
  assert.is(index.dataplane(name)?.resourceVersion, "2");

  const updated = index.asking(name);
  index.setDataplane(dataplane("a", "web", "3"));
  index.deleteDataplane(name);
  heard();
  updated(dataplane("a", "web", "3"));
  assert.is(index.dataplane(name), undefined, "its deletion is newer");
  assert.equal(heard()[0], ["a"]);

  const created = index.asking(name);
  index.setDataplane(dataplane("a", "web", "4"));
  index.setDataplane(dataplane("a", "stolen", "5"));
  created(dataplane("a", "web", "4"));
  assert.is(index.dataplane(name)?.resourceVersion, "5", "what a user changed is newer");

  index.asking(name)(undefined);
  assert.is(index.dataplane(name), undefined);
});

test("a listing deletes what is not in it", () => {
  const { index, heard, outbounds } = stage();
  index.listServices([service("web"), service("db")]);
  index.listPods([pod("a", "web"), pod("b", "db")]);
  index.listDataplanes([dataplane("a", "web.demo.svc:80"), dataplane("x", "db.demo.svc:80")]);
  heard();
  index.listPods([pod("a", "web")]);
  assert.equal(heard()[0], ["b"]);
  assert.is(index.pod(objectName("demo", "b")), undefined);
  assert.equal(outbounds(), ["db.demo.svc:80", "web.demo.svc:80"], "x still offers db");
  index.listDataplanes([]);
  assert.equal(outbounds(), ["web.demo.svc:80"]);
  index.listServices([service("db")]);
  assert.equal([outbounds(), index.pod(objectName("demo", "a"))?.inbounds], [[], []]);
});

test("a pod that changes its mesh leaves the old one", () => {
  const { index, heard, outbounds } = stage();
  index.setService(service("web"));
  index.setPod(pod("a", "web"));
  heard();
  index.setPod(pod("a", "web", { mesh: "pilot" }));
  assert.equal(heard(), [["a"], ["default", "pilot"]]);
  assert.equal([outbounds("default"), outbounds("pilot")], [[], ["web.demo.svc:80"]]);
  assert.equal([index.count("default"), index.count("pilot")], [0, 1]);
});

test.run();
