import type { Cause } from "../lib/errors.js";
import { finish, type Steps } from "../lib/steps.js";
import type { ObjectSchema } from "./schema.js";

/** A resource that a user configured or the control plane recorded. The mesh of a Mesh is its own name. */
export interface Resource<Spec = unknown> {
  readonly type: string;
  readonly mesh: string;
  readonly name: string;
  readonly spec: Spec;
}

/** A column of `kumactl get`. */
export interface Column<Spec = unknown> {
  readonly title: string;
  cell(resource: Resource<Spec>): string;
}

/** kumactl's words for a type: `delete mesh`, `get meshes`; aliases work for both. */
export interface CliWords {
  readonly singular: string;
  readonly plural: string;
  readonly aliases: readonly string[];
}

/** The Kubernetes custom resource for a type, in the group kuma.io. */
export interface CustomResource {
  readonly plural: string;
  readonly scope: "Cluster" | "Namespaced";
  /** The field that holds the spec: `status` for what the control plane records. */
  readonly body: "spec" | "status";
}

/** Everything about one resource type: routes, commands, tables and stores derive from it. */
export interface ResourceType<Spec = unknown> {
  readonly name: string;
  readonly scope: "global" | "mesh";
  /** Path segment in the API, such as `traffic-logs`. */
  readonly path: string;
  readonly pathAliases: readonly string[];
  /** `read`: written by the control plane only. `internal`: not in the API. */
  readonly access: "full" | "read" | "internal";
  readonly cli: CliWords | undefined;
  /** Undefined for a type without a custom resource. Default: derived from `path` and `scope`. */
  readonly kubernetes: CustomResource | undefined;
  /** One sentence about it, for `kubectl explain`. */
  readonly summary: string;
  /** Whether changes are part of the store's change feed. */
  readonly feeds: boolean;
  readonly schema: ObjectSchema<Spec>;
  /** Sets defaults; runs before validation, on create and on update. */
  defaults(spec: Spec): Spec;
  /** Validation errors, in the order of the rules; empty if the spec is valid. */
  validate(spec: Spec): Cause[];
  /** The same in steps, for large specs. */
  validation(spec: Spec): Steps<Cause[]>;
  /** Parts of a valid spec that have no effect, one sentence each. */
  warnings(spec: Spec): readonly string[];
  readonly columns: readonly Column<Spec>[];
}

const meshAndName: readonly Column[] = [
  { title: "MESH", cell: ({ mesh }) => mesh },
  { title: "NAME", cell: ({ name }) => name },
];

/** The custom resource of a type with this API path. */
export const customResource = (
  path: string,
  scope: ResourceType["scope"],
  body: CustomResource["body"] = "spec",
): CustomResource => ({
  plural: path.replaceAll("-", ""),
  scope: scope === "global" ? "Cluster" : "Namespaced",
  body,
});

type Required = "name" | "path" | "schema";

/** Defines a type; by default it is mesh-scoped and writable by users. One of `validate` and `validation` is enough. */
export function resourceType<Spec>(
  special: Pick<ResourceType<Spec>, Required> & Partial<Omit<ResourceType<Spec>, Required>>,
): ResourceType<Spec> {
  const { validate = () => [], name, path, scope = "mesh" } = special;
  const {
    validation = function* (spec: Spec) {
      yield;
      return validate(spec);
    },
  } = special;
  return {
    scope,
    pathAliases: [],
    access: "full",
    cli: undefined,
    kubernetes: customResource(path, scope),
    summary: `A ${name} of Kuma.`,
    feeds: true,
    defaults: (spec) => spec,
    validate: (spec) => finish(validation(spec)),
    validation,
    warnings: () => [],
    columns: meshAndName,
    ...special,
  };
}
