import { createFileRegistry, type DescMessage, type FileRegistry, fromBinary, getOption } from "@bufbuild/protobuf";
import { base64Decode } from "@bufbuild/protobuf/wire";
import { type FileDescriptorSet, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { descriptors } from "../../../proto-gen/es/descriptors.js";

/** Envoy's configuration model in one version. Raw resources are validated and encoded with it. */
export interface EnvoyApi {
  /** The Envoy version: `Envoy 1.31`. */
  readonly label: string;
  readonly registry: FileRegistry;
}

export function createEnvoyApi(label: string, set: FileDescriptorSet): EnvoyApi {
  return { label, registry: createFileRegistry(set) };
}

let builtIn: EnvoyApi | undefined;

/** The built-in model. Parsed on first use: most meshes have no raw resources. */
export function builtInApi(): EnvoyApi {
  // The Envoy release of the .proto files in @grpc/grpc-js-xds 1.14.
  builtIn ??= createEnvoyApi("Envoy 1.31", fromBinary(FileDescriptorSetSchema, base64Decode(descriptors)));
  return builtIn;
}

/** v2 types that have no successor, or whose successor Envoy's annotations don't name. */
const exceptions: readonly (readonly [v2: string, v3: string | undefined])[] = [
  ["envoy.config.filter.http.ext_authz.v2.ExtAuthz", "envoy.extensions.filters.http.ext_authz.v3.ExtAuthz"],
  ["envoy.config.filter.http.ext_authz.v2alpha.ExtAuthz", "envoy.extensions.filters.http.ext_authz.v3.ExtAuthz"],
  ["envoy.config.filter.http.gzip.v2.Gzip", undefined],
];

let successors: ReadonlyMap<string, string | undefined> | undefined;

/** Each v3 message of Envoy is annotated with its v2 predecessor. */
function readSuccessors(): ReadonlyMap<string, string | undefined> {
  const { registry } = builtInApi();
  const versioning = registry.getExtension("udpa.annotations.versioning");
  if (versioning === undefined) throw new Error("Envoy's descriptors have no versioning annotation");
  const found = new Map<string, string | undefined>();
  for (const type of registry) {
    if (type.kind !== "message") continue;
    const annotation = getOption(type, versioning);
    if (typeof annotation !== "object" || annotation === null || !("previousMessageType" in annotation)) continue;
    const { previousMessageType } = annotation;
    if (typeof previousMessageType === "string" && previousMessageType !== "") {
      found.set(previousMessageType, type.typeName);
    }
  }
  for (const [v2, v3] of exceptions) found.set(v2, v3);
  return found;
}

/** The v3 successor of a v2 message type; undefined when there is none. */
export function successorOf(v2Type: string): string | undefined {
  successors ??= readSuccessors();
  return successors.get(v2Type);
}

/** Whether a type is from before v3; the names of some of these have no version at all. */
export function isV2(typeName: string): boolean {
  return /^envoy\.(?!.*\.v3\.)/.test(typeName);
}

/** Types whose JSON form is not an object of their fields. */
const wellKnown = /^google\.protobuf\./;

export function hasFields(type: DescMessage): boolean {
  return !wellKnown.test(type.typeName);
}
