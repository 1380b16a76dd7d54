import { type DescMessage, fromJson, type JsonValue, type Message } from "@bufbuild/protobuf";
import { messageOf } from "../../lib/errors.js";
import { isJsonObject } from "../../lib/json.js";
import { finish, type Steps } from "../../lib/steps.js";
import { handedIn, parseNativeResource } from "../../resources/native-resource.js";
import { quoted } from "../../resources/path.js";
import { addressProblem, type OwnServers } from "../own-servers.js";
import { type EnvoyResource, encode, kinds, typeUrls, type XdsKind } from "../resource.js";
import { builtInApi, type EnvoyApi, isV2, successorOf } from "./api.js";
import { violations } from "./constraints.js";
import type { Json } from "./rewrites.js";
import { noSuccessor, type RawAddress, type RawProblem, readTree, type Tree } from "./tree.js";

/** A raw resource, upgraded to v3 and encoded. */
export interface RawEnvoyResource {
  readonly kind: XdsKind;
  readonly resource: EnvoyResource;
  /** The message in proto3 JSON of the v3 API. */
  readonly json: Json;
  /** Files that it makes Envoy write to. */
  readonly files: readonly string[];
  /** All socket addresses in it. */
  readonly addresses: readonly RawAddress[];
}

export type RawReading =
  | { readonly valid: true; readonly raw: RawEnvoyResource }
  | { readonly valid: false; readonly problems: readonly RawProblem[] };

interface Delivered {
  readonly kind: XdsKind;
  /** The field that contains the resource name. */
  readonly nameField: string;
}

const nameFields: Readonly<Record<XdsKind, string>> = {
  cds: "name",
  eds: "clusterName",
  lds: "name",
  rds: "name",
  sds: "name",
};

const typeName = (url: string) => url.slice(url.lastIndexOf("/") + 1);

const delivered: ReadonlyMap<string, Delivered> = new Map(
  kinds.map((kind) => [typeName(typeUrls[kind]), { kind, nameField: nameFields[kind] }]),
);

const problem = (field: string, message: string): RawProblem => ({ field, message, newer: false });

function toMessage(api: EnvoyApi, type: DescMessage, json: Json): Message | RawProblem {
  try {
    return fromJson(type, json as JsonValue, { registry: api.registry });
  } catch (error) {
    // The tree has been validated, so this violates a rule that only protobuf's own JSON parser knows.
    return problem("", messageOf(error));
  }
}

/** The name by which this cluster requests its endpoints, if it uses EDS. */
function edsNameOf(name: string, { type, edsClusterConfig }: Json): string | undefined {
  if (type !== "EDS" && type !== 3) return undefined;
  const serviceName = isJsonObject(edsClusterConfig) ? edsClusterConfig.serviceName : undefined;
  return typeof serviceName === "string" && serviceName !== "" ? serviceName : name;
}

/** `field: message`, with the API version if a newer one might accept the field. */
export function problemText({ field, message, newer }: RawProblem, { label }: EnvoyApi): string {
  return `${field === "" ? "" : `${field}: `}${message}${newer ? ` (checked against the API of ${label})` : ""}`;
}

interface Decoded {
  readonly kind: XdsKind;
  readonly name: string;
  readonly type: DescMessage;
  readonly message: Message;
  readonly tree: Tree;
}

/** Each step is one pass over the message. */
function* decode(text: string, api: EnvoyApi, bounds?: typeof handedIn): Steps<Decoded | readonly RawProblem[]> {
  const parsed = parseNativeResource(text, bounds);
  yield;
  if ("reason" in parsed) return [problem("", parsed.reason)];
  const { "@type": _, ...content } = parsed.message;
  const written = typeName(parsed.typeUrl);
  const old = isV2(written);
  const successor = old ? successorOf(written) : written;
  if (successor === undefined) return [problem("@type", `${quoted(written)} ${noSuccessor}`)];
  const found = delivered.get(successor);
  const type = api.registry.getMessage(successor);
  if (found === undefined || type === undefined) {
    const accepted = [...delivered.keys()].join(", ");
    return [problem("@type", `${quoted(written)} is no resource that Envoy is sent; accepted are ${accepted}`)];
  }
  const tree = readTree(api, type, content, old);
  yield;
  if (tree.problems.length > 0) return tree.problems;
  const message = toMessage(api, type, tree.message);
  yield;
  if (!("$typeName" in message)) return [message];
  const name = tree.message[found.nameField];
  if (typeof name !== "string" || name === "") return [problem(found.nameField, "cannot be empty")];
  return { kind: found.kind, name, type, message, tree };
}

/**
 * Parses and encodes one raw resource: YAML or JSON, v2, v3 or a mixture. Parsing is strict: whatever Envoy would not
 * understand is reported with its path. Values that Envoy understands but rejects are not checked.
 */
export function readRaw(text: string, api: EnvoyApi = builtInApi()): RawReading {
  const decoded = finish(decode(text, api));
  if (!("tree" in decoded)) return { valid: false, problems: decoded };
  const { kind, name, type, message, tree } = decoded;
  const edsName = kind === "cds" ? edsNameOf(name, tree.message) : undefined;
  const about = { raw: true, clusters: tree.clusters, edsName };
  const resource = encode(type, name, message, about);
  const { message: json, files, addresses } = tree;
  return { valid: true, raw: { kind, resource, json, files, addresses } };
}

/**
 * Validates a raw resource, including the constraints of Envoy's API on values. Empty when it is valid.
 * @param own servers that it must not forward to
 */
export function* checkRawInSteps(
  text: string,
  api: EnvoyApi = builtInApi(),
  own?: OwnServers,
): Steps<readonly RawProblem[]> {
  const decoded = yield* decode(text, api, handedIn);
  if (!("tree" in decoded)) return decoded;
  const { addresses } = decoded.tree;
  const forbidden = own === undefined ? [] : forbiddenAddresses(own, addresses);
  return [...forbidden, ...violations(api, decoded.type, decoded.message)];
}

/** The addresses of a raw resource that belong to servers of the control plane. */
export function forbiddenAddresses(own: OwnServers, addresses: readonly RawAddress[]): readonly RawProblem[] {
  return addresses.flatMap(({ field, address, port }) => {
    const message = addressProblem(own, address, port);
    return message === undefined ? [] : [problem(field, message)];
  });
}
