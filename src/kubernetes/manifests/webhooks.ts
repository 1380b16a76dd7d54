import type { Registry } from "../../resources/registry.js";
import { defaulterConfiguration, injectorConfiguration, validatorConfiguration } from "../webhook-names.js";
import type { Manifest } from "./manifest.js";
import type { InstallOptions } from "./options.js";
import type { Pairs } from "./pairs.js";
import { webhookPort } from "./ports.js";
import { controlPlaneAccount } from "./rbac.js";
import { caBundle } from "./secrets.js";

interface Webhook {
  readonly name: string;
  readonly server: "admissionServer" | "injector";
  readonly path: string;
  readonly failurePolicy: string;
  readonly rule: {
    readonly apiGroups: readonly string[];
    readonly apiVersions: readonly string[];
    readonly operations: readonly string[];
    readonly resources: readonly string[];
    readonly scope: "*" | "Namespaced";
  };
  readonly more?: Readonly<Record<string, unknown>>;
}

function configuration(
  kind: "MutatingWebhookConfiguration" | "ValidatingWebhookConfiguration",
  name: string,
  webhooks: readonly Webhook[],
  options: InstallOptions,
  pairs: Pairs,
): Manifest {
  const services = {
    admissionServer: options.controlPlaneServiceName,
    injector: options.injectorServiceName,
  };
  return {
    apiVersion: "admissionregistration.k8s.io/v1",
    kind,
    metadata: { name },
    webhooks: webhooks.map(({ name: webhook, server, path, failurePolicy, rule, more }) => ({
      name: webhook,
      admissionReviewVersions: ["v1"],
      clientConfig: {
        caBundle: caBundle(pairs, server),
        service: { namespace: options.namespace, name: services[server], path, port: webhookPort },
      },
      failurePolicy,
      matchPolicy: "Equivalent",
      ...more,
      rules: [rule],
      sideEffects: "None",
      timeoutSeconds: 10,
    })),
  };
}

const customResources = (resources: readonly string[]): Webhook["rule"] => ({
  apiGroups: ["kuma.io"],
  apiVersions: ["v1alpha1"],
  operations: ["CREATE", "UPDATE"],
  resources,
  scope: "*",
});

/** The webhooks of the control plane, which default and validate custom resources, and that of the injector. */
export function webhooks(registry: Registry, options: InstallOptions, pairs: Pairs): Manifest[] {
  const pluralsOf = (types: Registry["types"]) => types.flatMap(({ kubernetes }) => kubernetes?.plural ?? []);
  const written = pluralsOf(registry.types.filter(({ access }) => access === "full"));
  const reserved = pluralsOf(registry.types.filter(({ access }) => access !== "full"));
  const defaulter: Webhook = {
    name: "mesh.defaulter.kuma-admission.kuma.io",
    server: "admissionServer",
    path: "/default-kuma-io-v1alpha1-mesh",
    failurePolicy: "Fail",
    rule: customResources(["meshes"]),
    more: { reinvocationPolicy: "Never" },
  };
  const validator: Webhook = {
    name: "validator.kuma-admission.kuma.io",
    server: "admissionServer",
    path: "/validate-kuma-io-v1alpha1",
    failurePolicy: "Fail",
    rule: customResources(written),
  };
  const account = `system:serviceaccount:${options.namespace}:${controlPlaneAccount}`;
  const guard: Webhook = {
    name: "reserved.validator.kuma-admission.kuma.io",
    server: "admissionServer",
    path: "/validate-kuma-io-v1alpha1",
    failurePolicy: "Fail",
    rule: customResources(reserved),
    // The control plane is the one who may write these, and does so often.
    more: {
      matchConditions: [{ name: "others", expression: `request.userInfo.username != '${account}'` }],
    },
  };
  const injector: Webhook = {
    name: "kuma-injector.kuma.io",
    server: "injector",
    path: "/inject-sidecar",
    failurePolicy: options.injectorFailurePolicy,
    rule: {
      apiGroups: [""],
      apiVersions: ["v1"],
      operations: ["CREATE"],
      resources: ["pods"],
      scope: "Namespaced",
    },
    more: {
      namespaceSelector: {
        matchLabels: { "kuma.io/sidecar-injection": "enabled" },
        // With these labelled, too, neither the injector nor what it needs could start while it is down.
        matchExpressions: [
          { key: "kubernetes.io/metadata.name", operator: "NotIn", values: ["kube-system", options.namespace] },
        ],
      },
      reinvocationPolicy: "Never",
    },
  };
  return [
    configuration("MutatingWebhookConfiguration", defaulterConfiguration, [defaulter], options, pairs),
    configuration("MutatingWebhookConfiguration", injectorConfiguration, [injector], options, pairs),
    configuration("ValidatingWebhookConfiguration", validatorConfiguration, [validator, guard], options, pairs),
  ];
}
