import type { Registry } from "../resources/registry.js";
import type { CustomResource, ResourceType } from "../resources/resource.js";
import type { Shape } from "../resources/schema.js";
import { kumaGroup, kumaVersion } from "../store/kubernetes/naming.js";

/** A part of an OpenAPI schema, as far as CRDs have it. */
export interface OpenApi {
  readonly description?: string;
  readonly type?: string;
  readonly properties?: Readonly<Record<string, OpenApi>>;
  readonly items?: OpenApi;
  readonly "x-kubernetes-preserve-unknown-fields"?: true;
}

interface CrdVersion {
  readonly name: string;
  readonly schema: { readonly openAPIV3Schema: OpenApi };
  readonly [field: string]: unknown;
}

/** A CustomResourceDefinition, to be serialized. */
export interface CustomResourceDefinition {
  readonly apiVersion: "apiextensions.k8s.io/v1";
  readonly kind: "CustomResourceDefinition";
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly scope: CustomResource["scope"];
    readonly names: Readonly<Record<string, unknown>>;
    readonly versions: readonly CrdVersion[];
    readonly [field: string]: unknown;
  };
}

function describe(shape: Shape): string {
  switch (shape.kind) {
    case "object":
      return "An object.";
    case "list":
      return shape.element.kind === "value"
        ? `A list; each element is ${shape.element.expected}.`
        : "A list of objects.";
    case "map":
      return shape.value.kind === "value"
        ? `Keys and values; each value is ${shape.value.expected}.`
        : "Keys and objects.";
    case "value":
      return `${shape.expected.charAt(0).toUpperCase()}${shape.expected.slice(1)}.`;
  }
}

/**
 * The schema of a field, as documentation only: without types and with unknown fields kept, so that the API server
 * stores whatever it is given, and every denial comes from our own validation, in its words.
 */
function documented(shape: Shape): OpenApi {
  const description = describe(shape);
  switch (shape.kind) {
    case "object":
      return { description, "x-kubernetes-preserve-unknown-fields": true, ...propertiesOf(shape.fields) };
    case "list": {
      const { description: _, ...items } = documented(shape.element);
      return { description, "x-kubernetes-preserve-unknown-fields": true, items };
    }
    case "map":
    case "value":
      return { description, "x-kubernetes-preserve-unknown-fields": true };
  }
}

function propertiesOf(fields: Readonly<Record<string, Shape>>): Pick<OpenApi, "properties"> {
  const entries = Object.entries(fields);
  if (entries.length === 0) return {};
  return { properties: Object.fromEntries(entries.map(([name, shape]) => [name, documented(shape)])) };
}

function definition(type: ResourceType, { plural, scope, body }: CustomResource): CustomResourceDefinition {
  const { name: kind, summary } = type;
  const isMesh = type.scope === "global";
  const { description: _, ...content } = documented(type.schema.shape);
  const mesh: OpenApi = { type: "string", description: 'The mesh that it belongs to; "default" if it names none.' };
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${plural}.${kumaGroup}` },
    spec: {
      group: kumaGroup,
      scope,
      names: { kind, listKind: `${kind}List`, plural, singular: kind.toLowerCase(), categories: ["kuma"] },
      versions: [
        {
          name: kumaVersion,
          served: true,
          storage: true,
          additionalPrinterColumns: [
            ...(isMesh ? [] : [{ name: "Mesh", type: "string", jsonPath: ".mesh" }]),
            { name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp" },
          ],
          schema: {
            openAPIV3Schema: {
              description: summary,
              type: "object",
              properties: {
                apiVersion: { type: "string" },
                kind: { type: "string" },
                metadata: { type: "object" },
                ...(isMesh ? {} : { mesh }),
                [body]: { description: "Its content.", type: "object", ...content },
              },
            },
          },
        },
      ],
    },
  };
}

/** The CustomResourceDefinitions of all types that are custom resources, ordered by name. */
export function crds(registry: Registry): readonly CustomResourceDefinition[] {
  return registry.types
    .flatMap((type) => (type.kubernetes === undefined ? [] : [definition(type, type.kubernetes)]))
    .sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
}
