import type { Cause } from "../lib/errors.js";
import { finish, type Steps } from "../lib/steps.js";
import type { ObjectSchema } from "./schema.js";

/** One thing the user configured or the control plane recorded. A Mesh has its own name as its mesh. */
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

/** The words kumactl knows a type by: `delete mesh`, `get meshes`; aliases go with either. */
export interface CliWords {
  readonly singular: string;
  readonly plural: string;
  readonly aliases: readonly string[];
}

/** The custom resource that holds a type in Kubernetes, of the group kuma.io. */
export interface CustomResource {
  readonly plural: string;
  readonly scope: "Cluster" | "Namespaced";
}

/** Everything the program knows about one type of resource: routes, commands, tables and stores follow from it. */
export interface ResourceType<Spec = unknown> {
  readonly name: string;
  readonly scope: "global" | "mesh";
  /** Segment of the API's path, such as `traffic-logs`. */
  readonly path: string;
  readonly pathAliases: readonly string[];
  /** `read`: written by the control plane only. `internal`: no API reaches it. */
  readonly access: "full" | "read" | "internal";
  readonly cli: CliWords | undefined;
  /** Undefined for what Kubernetes keeps in no custom resource. By default it follows from `path` and `scope`. */
  readonly kubernetes: CustomResource | undefined;
  /** Whether changes travel in the store's change feed. */
  readonly feeds: boolean;
  readonly schema: ObjectSchema<Spec>;
  /** Fills in what the user left out; runs before validation, on create and on update. */
  defaults(spec: Spec): Spec;
  /** What the spec breaks, in the order of the rules; empty when it is valid. */
  validate(spec: Spec): Cause[];
  /** The same in steps, for specs that may be large. */
  validation(spec: Spec): Steps<Cause[]>;
  /** What a valid spec asks for and does not get, one sentence each. */
  warnings(spec: Spec): readonly string[];
  readonly columns: readonly Column<Spec>[];
}

const meshAndName: readonly Column[] = [
  { title: "MESH", cell: ({ mesh }) => mesh },
  { title: "NAME", cell: ({ name }) => name },
];

type Required = "name" | "path" | "schema";

/**
 * A type of which only what is special must be said: it belongs to a mesh and is the user's to write. Of `validate` and
 * `validation` one is enough.
 */
export function resourceType<Spec>(
  special: Pick<ResourceType<Spec>, Required> & Partial<Omit<ResourceType<Spec>, Required>>,
): ResourceType<Spec> {
  const { validate = () => [], path, scope = "mesh" } = special;
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
    kubernetes: { plural: path.replaceAll("-", ""), scope: scope === "global" ? "Cluster" : "Namespaced" },
    feeds: true,
    defaults: (spec) => spec,
    validate: (spec) => finish(validation(spec)),
    validation,
    warnings: () => [],
    columns: meshAndName,
    ...special,
  };
}
