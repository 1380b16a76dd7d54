import { createFileRegistry, type DescMessage, type FileRegistry, fromBinary, getOption } from "@bufbuild/protobuf";
import { base64Decode } from "@bufbuild/protobuf/wire";
import { type FileDescriptorSet, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { descriptors } from "../../../proto-gen/es/descriptors.js";

/** Envoy's configuration model at one of its versions: what raw resources are held against and encoded by. */
export interface EnvoyApi {
  /** Of which Envoy: `Envoy 1.31`. */
  readonly label: string;
  readonly registry: FileRegistry;
}

export function createEnvoyApi(label: string, set: FileDescriptorSet): EnvoyApi {
  return { label, registry: createFileRegistry(set) };
}

let builtIn: EnvoyApi | undefined;

/** The model that this program carries along. Parsed when first asked for: most meshes have no raw resource. */
export function builtInApi(): EnvoyApi {
  // The release that the .proto files inside @grpc/grpc-js-xds 1.14 were taken at.
  builtIn ??= createEnvoyApi("Envoy 1.31", fromBinary(FileDescriptorSetSchema, base64Decode(descriptors)));
  return builtIn;
}

/** Types of v2 whose successor Envoy's own annotations don't name, or that have none any more. */
const exceptions: readonly (readonly [v2: string, v3: string | undefined])[] = [
  ["envoy.config.filter.http.ext_authz.v2.ExtAuthz", "envoy.extensions.filters.http.ext_authz.v3.ExtAuthz"],
  ["envoy.config.filter.http.ext_authz.v2alpha.ExtAuthz", "envoy.extensions.filters.http.ext_authz.v3.ExtAuthz"],
  ["envoy.config.filter.http.gzip.v2.Gzip", undefined],
];

let successors: ReadonlyMap<string, string | undefined> | undefined;

/** Every v3 message of Envoy names the v2 message that it came from. */
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

/** The v3 message type that took over from one of Envoy's v2 API; undefined when there is none. */
export function successorOf(v2Type: string): string | undefined {
  successors ??= readSuccessors();
  return successors.get(v2Type);
}

/** True for Envoy's types of before v3; some of them have no version in their name at all. */
export function isV2(typeName: string): boolean {
  return /^envoy\.(?!.*\.v3\.)/.test(typeName);
}

/** Types whose JSON form isn't that of a message with fields. */
const wellKnown = /^google\.protobuf\./;

export function hasFields(type: DescMessage): boolean {
  return !wellKnown.test(type.typeName);
}
