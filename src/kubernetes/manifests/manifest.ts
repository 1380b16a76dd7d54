/** A Kubernetes object as it is printed. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: ManifestMeta;
  readonly [field: string]: unknown;
}

export interface ManifestMeta {
  readonly name: string;
  readonly namespace?: string;
  readonly labels?: Readonly<Record<string, string>>;
}

/**
 * Kinds in the order in which kubectl has to create them; kinds without a place follow in alphabetical order. Admission
 * webhooks come last: they reject what is created before the Service behind them answers.
 */
const order = [
  "Namespace",
  "Secret",
  "ConfigMap",
  "ServiceAccount",
  "CustomResourceDefinition",
  "ClusterRole",
  "ClusterRoleBinding",
  "Role",
  "RoleBinding",
  "Service",
  "Deployment",
];

/** By kind as `order` says, then by name, byte by byte. */
export function compareManifests(a: Manifest, b: Manifest): number {
  return place(a) - place(b) || bytewise(a.kind, b.kind) || bytewise(a.metadata.name, b.metadata.name);
}

function place({ kind }: Manifest): number {
  const index = order.indexOf(kind);
  return index < 0 ? order.length : index;
}

const bytewise = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
