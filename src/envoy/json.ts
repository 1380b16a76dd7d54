import {
  createRegistry,
  type DescField,
  type DescMessage,
  fromBinary,
  getOption,
  type JsonObject,
  type JsonValue,
  type Registry,
  toJson,
} from "@bufbuild/protobuf";
import { ClusterSchema } from "../../proto-gen/es/envoy/config/cluster/v3/cluster_pb.js";
import { ClusterLoadAssignmentSchema } from "../../proto-gen/es/envoy/config/endpoint/v3/endpoint_pb.js";
import { FileBasedMetadataConfigSchema } from "../../proto-gen/es/envoy/config/grpc_credential/v3/file_based_metadata_pb.js";
import { ListenerSchema } from "../../proto-gen/es/envoy/config/listener/v3/listener_pb.js";
import { FileAccessLogSchema } from "../../proto-gen/es/envoy/extensions/access_loggers/file/v3/file_pb.js";
import { RBACSchema } from "../../proto-gen/es/envoy/extensions/filters/network/rbac/v3/rbac_pb.js";
import { TcpProxySchema } from "../../proto-gen/es/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js";
import { SecretSchema } from "../../proto-gen/es/envoy/extensions/transport_sockets/tls/v3/secret_pb.js";
import {
  DownstreamTlsContextSchema,
  UpstreamTlsContextSchema,
} from "../../proto-gen/es/envoy/extensions/transport_sockets/tls/v3/tls_pb.js";
import { sensitive } from "../../proto-gen/es/udpa/annotations/sensitive_pb.js";
import { isJsonObject } from "../lib/json.js";
import { builtInApi } from "./raw/api.js";
import { type EnvoyResource, typeUrls, type XdsKind } from "./resource.js";

/** The message types of generated resources: far fewer to load than Envoy's whole configuration model. */
const generated = createRegistry(
  ClusterLoadAssignmentSchema,
  ClusterSchema,
  ListenerSchema,
  DownstreamTlsContextSchema,
  FileAccessLogSchema,
  FileBasedMetadataConfigSchema,
  RBACSchema,
  SecretSchema,
  TcpProxySchema,
  UpstreamTlsContextSchema,
);

const typeName = (url: string) => url.slice(url.lastIndexOf("/") + 1);

const secrecy = new WeakMap<DescField, boolean>();

/** Whether a field is annotated as sensitive. Envoy redacts these fields in its own config dump. */
function isSecret(field: DescField): boolean {
  let secret = secrecy.get(field);
  if (secret === undefined) {
    secret = getOption(field, sensitive);
    secrecy.set(field, secret);
  }
  return secret;
}

const hidden = "[redacted]";

/** The location of a secret on the proxy's machine is not secret itself. */
const locations: ReadonlySet<string> = new Set(["filename", "environmentVariable"]);

function hide(value: JsonValue): JsonValue {
  if (typeof value === "string") return hidden;
  if (Array.isArray(value)) return value.map(hide);
  if (!isJsonObject(value)) return value;
  const members = Object.entries(value as JsonObject);
  return Object.fromEntries(members.map(([key, member]) => [key, locations.has(key) ? member : hide(member)]));
}

/** Applies `show` to each message in a field of message type. */
function eachMessage(field: DescField, value: JsonValue, show: (member: JsonValue) => JsonValue): JsonValue {
  if (field.fieldKind === "list" && Array.isArray(value)) return value.map(show);
  if (field.fieldKind !== "map" || !isJsonObject(value)) return show(value);
  return Object.fromEntries(Object.entries(value as JsonObject).map(([key, member]) => [key, show(member)]));
}

function withoutSecrets(type: DescMessage, value: JsonValue, registry: Registry): JsonValue {
  if (!isJsonObject(value)) return value;
  const json = value as JsonObject;
  if (type.typeName === "google.protobuf.Any") {
    const url = typeof json["@type"] === "string" ? json["@type"] : "";
    const content = registry.getMessage(typeName(url));
    return content === undefined ? json : { ...json, ...(withoutSecrets(content, json, registry) as JsonObject) };
  }
  // The JSON form of other well-known types does not consist of their fields.
  if (type.typeName.startsWith("google.protobuf.")) return json;
  const shown: JsonObject = { ...json };
  for (const field of type.fields) {
    const member = json[field.jsonName];
    if (member === undefined) continue;
    const { message } = field;
    if (isSecret(field)) shown[field.jsonName] = hide(member);
    else if (message !== undefined) {
      shown[field.jsonName] = eachMessage(field, member, (one) => withoutSecrets(message, one, registry));
    }
  }
  return shown;
}

/**
 * A resource in proto3 JSON, `@type` first, as in an Envoy configuration file. Fields that Envoy annotates as
 * sensitive, such as private keys in raw resources, are replaced by `[redacted]`.
 * @throws Error when the resource contains an Any of an unknown type
 */
export function resourceJson(kind: XdsKind, { bytes, raw }: EnvoyResource): JsonObject {
  const registry = raw ? builtInApi().registry : generated;
  const schema = registry.getMessage(typeName(typeUrls[kind]));
  if (schema === undefined) throw new Error(`a resource of type ${typeUrls[kind]} was not expected`);
  const json = toJson(schema, fromBinary(schema, bytes), { registry });
  return { "@type": typeUrls[kind], ...(withoutSecrets(schema, json, registry) as JsonObject) };
}
