import type { Registry } from "../../resources/registry.js";
import { controlPlaneManifests } from "./control-plane.js";
import { certificateTemplates, chartValues, placeholders, templateOf } from "./helm-values.js";
import type { OptionTable } from "./options.js";
import { controlPlaneApp } from "./services.js";
import { yamlOf } from "./yaml.js";

export interface ChartRequest {
  readonly registry: Registry;
  readonly options: OptionTable;
  /** Semantic version of the chart and of the programs in it. */
  readonly version: string;
}

const crdKind = "CustomResourceDefinition";

const notes = `Wait for the control plane before you create meshes and policies:

  kubectl rollout status -n {{ .Release.Namespace }} deployment/${controlPlaneApp}
`;

/**
 * A Helm chart, as files by path, that yields what \`kumactl install control-plane\` prints. The namespace is Helm's to
 * make. Custom resource definitions are in a directory of their own: Helm does not delete these with a release, and
 * with them all meshes and policies.
 */
export function helmChart(request: ChartRequest): ReadonlyMap<string, string> {
  const { registry, options: table, version } = request;
  const { options, pairs } = placeholders(table);
  const manifests = controlPlaneManifests({ registry, options, pairs });
  const files = new Map<string, string>();
  files.set(
    "Chart.yaml",
    yamlOf({
      apiVersion: "v2",
      name: "kuma",
      description: "A Kuma-compatible service mesh: its control plane and its injector",
      type: "application",
      version,
      appVersion: version,
      kubeVersion: ">=1.29.0-0",
    }),
  );
  files.set("values.yaml", valuesText(table));
  files.set("values.schema.json", `${JSON.stringify(valuesSchema(table), null, 2)}\n`);
  files.set("templates/_certificates.tpl", certificateTemplates(table));
  files.set("templates/NOTES.txt", notes);
  for (const manifest of manifests) {
    const { kind, metadata } = manifest;
    if (kind === "Namespace") continue;
    const yaml = yamlOf(manifest);
    if (kind === crdKind) files.set(`crds/${metadata.name}.yaml`, yaml);
    else files.set(templatePath(table, kind, metadata.name), templateOf(table, yaml));
  }
  return files;
}

/** The file of a template; a name that is an option is written as the default of that option. */
function templatePath(table: OptionTable, kind: string, name: string): string {
  const placed = Object.entries(placeholders(table).options).find(([, value]) => value === name);
  const option = placed === undefined ? undefined : table[placed[0] as keyof OptionTable];
  const plain = option === undefined ? name : String(option.default);
  return `templates/${kind.toLowerCase()}-${plain.replace(/[^a-z0-9-]/g, "-")}.yaml`;
}

function valuesText(table: OptionTable): string {
  return chartValues(table)
    .map(({ key, help, preset }) => `# ${help}\n${yamlOf({ [key]: preset })}`)
    .join("\n");
}

function valuesSchema(table: OptionTable): unknown {
  return {
    $schema: "http://json-schema.org/draft-07/schema#",
    type: "object",
    properties: Object.fromEntries(
      chartValues(table).map(({ key, help, schema }) => [key, { description: help, ...(schema as object) }]),
    ),
    // Helm passes global values to every chart.
    additionalProperties: false,
    patternProperties: { "^global$": { type: "object" } },
  };
}
