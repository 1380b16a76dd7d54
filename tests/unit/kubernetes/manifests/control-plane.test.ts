import { load } from "js-yaml";
import * as assert from "uvu/assert";
import { admissionPaths } from "../../../../src/cp/kubernetes/admission-server.js";
import { readSettings as readControlPlane } from "../../../../src/cp/settings.js";
import { defaults, readSettings as readInjector } from "../../../../src/injector/settings.js";
import { controlPlaneManifests } from "../../../../src/kubernetes/manifests/control-plane.js";
import type { Manifest } from "../../../../src/kubernetes/manifests/manifest.js";
import { completeOptions, type OptionValues, optionTable } from "../../../../src/kubernetes/manifests/options.js";
import { createRegistry, registry as ours, type Registry } from "../../../../src/resources/registry.js";
import { idleTimeoutType } from "../../../support/idle-timeout.js";
import { suite } from "../../../support/suite.js";

const test = suite("the manifests of a control plane");

const pair = { cert: "certificate", key: "key" };

function manifests(chosen: Partial<OptionValues> = {}, registry: Registry = ours): Manifest[] {
  const options = { namespace: "mesh-x", ...completeOptions(optionTable("1.2.3"), chosen) };
  return controlPlaneManifests({ registry, options, pairs: { admissionServer: pair, injector: pair, sds: pair } });
}

function find<T>(documents: readonly Manifest[], kind: string, name: string): Manifest & T {
  const found = documents.find((document) => document.kind === kind && document.metadata.name === name);
  if (found === undefined) throw new Error(`there is no ${kind} ${name}`);
  return found as Manifest & T;
}

interface Container {
  readonly args: readonly string[];
  readonly env: readonly { readonly name: string; readonly value: string }[];
  readonly ports: readonly { readonly containerPort: number }[];
  readonly livenessProbe: { readonly httpGet: { readonly port: number } };
  readonly volumeMounts: readonly { readonly mountPath: string }[];
}

interface Deployment {
  readonly spec: { readonly template: { readonly spec: { readonly containers: readonly [Container] } } };
}

interface ConfigMap {
  readonly data: { readonly "config.yaml": string };
}

interface Service {
  readonly spec: { readonly ports: readonly { readonly targetPort: number }[] };
}

function programOf(documents: readonly Manifest[], name: string) {
  const [container] = find<Deployment>(documents, "Deployment", name).spec.template.spec.containers;
  const env = Object.fromEntries(container.env.map((one) => [one.name, one.value]));
  const text = find<ConfigMap>(documents, "ConfigMap", `${name}-config`).data["config.yaml"];
  const path = container.args.find((arg) => arg.startsWith("--config-file="))?.replace("--config-file=", "") ?? "";
  assert.ok(container.volumeMounts.some(({ mountPath }) => path === `${mountPath}/config.yaml`));
  return { container, env, file: { path, text } };
}

test("kuma-cp takes every setting, without a warning, and listens where its Service and probes connect", () => {
  const documents = manifests();
  const { container, env, file } = programOf(documents, "kuma-control-plane");
  const { settings, warnings } = readControlPlane(file, env);
  assert.equal(warnings, []);
  assert.equal([settings.environment, settings.storeType, settings.apiReadOnly], ["kubernetes", "kubernetes", true]);
  assert.is(settings.advertisedHostname, "kuma-control-plane.mesh-x");
  assert.is(settings.xdsHost, settings.advertisedHostname);
  const ports = [settings.admissionPort, settings.sdsPort, settings.xdsPort, settings.apiPort, settings.bootstrapPort];
  const service = find<Service>(documents, "Service", "kuma-control-plane");
  assert.equal(
    service.spec.ports.map(({ targetPort }) => targetPort),
    ports,
  );
  assert.is(container.livenessProbe.httpGet.port, settings.diagnosticsPort);
  const declared = container.ports.map(({ containerPort }) => containerPort);
  assert.equal(declared.sort(), [...ports, settings.diagnosticsPort].sort());
  for (const used of [settings.admissionCertDir, settings.sdsTlsCertFile, settings.sdsTlsKeyFile]) {
    assert.ok(
      container.volumeMounts.some(({ mountPath }) => `${used}/`.startsWith(`${mountPath}/`)),
      used,
    );
  }
});

test("kuma-injector takes every setting; its file holds the defaults", () => {
  const documents = manifests({ nativeSidecar: "false", imageRegistry: "r/m" });
  const { container, env, file } = programOf(documents, "kuma-injector");
  const { settings, values, warnings } = readInjector({ file, env, flags: {} });
  assert.equal(warnings, []);
  const { image, initImage, nativeSidecar, certDir, bootstrapServerUrl, apiServerUrl, ...others } = values;
  assert.equal([image, initImage, nativeSidecar], ["r/m/kuma-dp:1.2.3", "r/m/kuma-init:1.2.3", false]);
  assert.equal(
    [bootstrapServerUrl, apiServerUrl],
    ["http://kuma-control-plane.mesh-x:5682", "http://kuma-control-plane.mesh-x:5681"],
  );
  assert.equal({ ...defaults, ...others }, defaults);
  assert.ok(Object.keys(load(file.text) as object).length > 0);
  const mounted = container.volumeMounts.map(({ mountPath }) => mountPath);
  assert.ok(mounted.includes(certDir) && mounted.includes(settings.apiCredentialsDir));
  const service = find<Service>(documents, "Service", "kuma-injector");
  assert.equal([service.spec.ports[0]?.targetPort, container.livenessProbe.httpGet.port], [values.port, values.port]);
});

interface Webhooks {
  readonly webhooks: readonly {
    readonly clientConfig: { readonly service: { readonly path: string } };
    readonly rules: readonly { readonly resources: readonly string[] }[];
  }[];
}

const validating = "kuma-validating-webhook-configuration";
const mutating = "kuma-admission-mutating-webhook-configuration";

test("webhooks call the paths that kuma-cp serves, about every custom resource", () => {
  const documents = manifests();
  const all = [
    ...find<Webhooks>(documents, "ValidatingWebhookConfiguration", validating).webhooks,
    ...find<Webhooks>(documents, "MutatingWebhookConfiguration", mutating).webhooks,
  ];
  const served: readonly string[] = Object.values(admissionPaths);
  for (const { clientConfig } of all) assert.ok(served.includes(clientConfig.service.path));
  const validated = find<Webhooks>(documents, "ValidatingWebhookConfiguration", validating).webhooks;
  const resources = validated.flatMap(({ rules }) => rules.flatMap((rule) => rule.resources));
  assert.equal(resources.sort(), ours.types.flatMap(({ kubernetes }) => kubernetes?.plural ?? []).sort());
});

interface Role {
  readonly rules: readonly { readonly resources: readonly string[]; readonly verbs: readonly string[] }[];
}

test("a new policy has its custom resource, is validated, and is readable and deletable for the control plane", () => {
  const documents = manifests({}, createRegistry([...ours.types, idleTimeoutType]));
  find(documents, "CustomResourceDefinition", "idletimeouts.kuma.io");
  const { webhooks } = find<Webhooks>(documents, "ValidatingWebhookConfiguration", validating);
  assert.ok(webhooks[0]?.rules[0]?.resources.includes("idletimeouts"));
  const { rules } = find<Role>(documents, "ClusterRole", "kuma:control-plane");
  const [rule, ...more] = rules.filter(({ resources }) => resources.includes("idletimeouts"));
  assert.equal([rule?.verbs, more], [["get", "list", "watch", "delete"], []]);
});

test.run();
