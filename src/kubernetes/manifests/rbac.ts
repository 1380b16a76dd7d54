import type { Registry } from "../../resources/registry.js";
import { webhookServers } from "../webhook-names.js";
import type { Manifest } from "./manifest.js";

export const controlPlaneAccount = "kuma-control-plane";
export const injectorAccount = "kuma-injector";

/** Name of the roles; a colon keeps it apart from names that people choose. */
const role = "kuma:control-plane";

/** A rule of a role, as RBAC has it. */
export interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly verbs: readonly string[];
}

/** Its certificates are renewed together with the trust in them: of its own webhooks, and of no others. */
const webhookRules = (["mutatingwebhookconfigurations", "validatingwebhookconfigurations"] as const).map(
  (plural): Rule => ({
    apiGroups: ["admissionregistration.k8s.io"],
    resources: [plural],
    resourceNames: webhookServers
      .flatMap(({ configurations }) => configurations)
      .flatMap((configuration) => (configuration.plural === plural ? [configuration.name] : [])),
    verbs: ["get", "update"],
  }),
);

const read = ["get", "list", "watch"];
const write = ["create", "update", "patch", "delete"];

/** What the control plane may do everywhere. */
export function clusterRules({ types, policies }: Registry): Rule[] {
  const plurals = (of: Registry["types"]) => of.flatMap(({ kubernetes }) => kubernetes?.plural ?? []);
  const policyTypes: Registry["types"] = policies;
  const own = types.filter((type) => !policyTypes.includes(type));
  return [
    { apiGroups: [""], resources: ["namespaces", "pods", "services"], verbs: read },
    { apiGroups: ["kuma.io"], resources: plurals(own), verbs: [...read, ...write] },
    // Policies are their users'. The control plane only deletes them, with their mesh.
    { apiGroups: ["kuma.io"], resources: plurals(policies), verbs: [...read, "delete"] },
    // Where owner references that block deletion are guarded, setting one to a Mesh or a Dataplane needs this.
    { apiGroups: ["kuma.io"], resources: ["meshes/finalizers", "dataplanes/finalizers"], verbs: ["update"] },
    { apiGroups: ["authentication.k8s.io"], resources: ["tokenreviews"], verbs: ["create"] },
    { apiGroups: ["events.k8s.io"], resources: ["events"], verbs: ["create", "patch"] },
    ...webhookRules,
  ];
}

/** What it may do in its own namespace: authorities are Secrets there, and so are the certificates of its servers. */
export const namespaceRules: readonly Rule[] = [
  { apiGroups: [""], resources: ["secrets"], verbs: [...read, ...write] },
  // One for the leader, and one for each instance.
  {
    apiGroups: ["coordination.k8s.io"],
    resources: ["leases"],
    verbs: ["get", "list", "create", "update", "delete"],
  },
];

/** The accounts of both programs. The injector gets no token: it asks for nothing but the version. */
export function serviceAccounts(namespace: string): Manifest[] {
  const account = (name: string, token: boolean): Manifest => ({
    apiVersion: "v1",
    kind: "ServiceAccount",
    metadata: { name, namespace },
    automountServiceAccountToken: token,
  });
  return [account(controlPlaneAccount, true), account(injectorAccount, false)];
}

function roles(kind: "ClusterRole" | "Role", rules: readonly Rule[], namespace: string): Manifest[] {
  const apiVersion = "rbac.authorization.k8s.io/v1";
  const metadata = kind === "Role" ? { name: role, namespace } : { name: role };
  return [
    { apiVersion, kind, metadata, rules },
    {
      apiVersion,
      kind: `${kind}Binding`,
      metadata,
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind, name: role },
      subjects: [{ kind: "ServiceAccount", name: controlPlaneAccount, namespace }],
    },
  ];
}

/** The control plane's permissions: what it does, and nothing else. */
export function permissions(registry: Registry, namespace: string): Manifest[] {
  return [...roles("ClusterRole", clusterRules(registry), namespace), ...roles("Role", namespaceRules, namespace)];
}
