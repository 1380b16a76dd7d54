import { BinaryReader } from "google-protobuf";
import { kinds, typeUrls, type XdsKind } from "../envoy/resource.js";
import { mostLogDirectories } from "../lib/log-directories.js";
import { callError } from "../net/grpc-status.js";
import type { Request } from "./configuration/session.js";
import { LimitExceeded, xdsLimits } from "./limits.js";

/**
 * Discovery requests are decoded by hand: Envoy's first one has 58 KB, most of which lists its extensions. Other fields
 * are skipped; they cost neither time nor memory, however large or deeply nested a peer makes them.
 */

/** The node that identifies a client in the first request of a stream. */
export interface Node {
  /** Empty when the request has none. */
  readonly id: string;
  /** Path of the proxy's token file, from its bootstrap request. */
  readonly tokenPath: string | undefined;
  /** Directories that its log files may be written to, from its bootstrap request; undefined when it named none. */
  readonly logDirectories: readonly string[] | undefined;
  /** The host at which the proxy reaches the control plane, if its bootstrap had to choose one. */
  readonly controlPlaneHost: string | undefined;
  /** The revision of its bootstrap. Not validated: any number; 0 when absent. */
  readonly bootstrapRevision: number;
}

/** A decoded delta request. */
export interface DeltaRequest {
  readonly node: Node;
  readonly typeUrl: string;
  /** Undefined for a type we don't serve. */
  readonly request: Request | undefined;
}

/** A decoded state-of-the-world request. */
export interface SotwRequest {
  readonly node: Node;
  readonly typeUrl: string;
  /** Undefined for a type we don't serve. */
  readonly kind: XdsKind | undefined;
  /** All names that the client subscribes to; empty for a wildcard. */
  readonly names: readonly string[];
  /** Nonce of the response that this acknowledges or rejects; empty when it does neither. */
  readonly nonce: string;
  readonly refusal: string | undefined;
}

const unknownNode: Node = {
  id: "",
  tokenPath: undefined,
  controlPlaneHost: undefined,
  logDirectories: undefined,
  bootstrapRevision: 0,
};

const kindOf = new Map<string, XdsKind>(kinds.map((kind) => [typeUrls[kind], kind]));

/**
 * The number of a length-delimited field (wire type 2), the only ones read here; undefined for others, to be skipped.
 */
const delimited = (reader: BinaryReader) => (reader.isDelimited() ? reader.getFieldNumber() : undefined);

/** Decodes at most `most` bytes of a text; a character that is cut becomes U+FFFD. */
const textOf = (bytes: Uint8Array, most = bytes.length) =>
  Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, most)).toString();

function boundedText(bytes: Uint8Array, limit: "node_id_length" | "metadata_length", what: string): string {
  const most = xdsLimits[limit].value;
  if (bytes.length > most)
    throw new LimitExceeded(limit, callError("xds.text-length", { what, length: bytes.length, most }));
  return textOf(bytes);
}

const nothing: Uint8Array = new Uint8Array();

/** Splits an entry of a map field into its key and its value, both still encoded. */
function readEntry(entry: Uint8Array): { readonly key: Uint8Array; readonly value: Uint8Array } {
  let key = nothing;
  let value = nothing;
  const reader = new BinaryReader(entry);
  while (reader.nextField()) {
    const field = delimited(reader);
    if (field === 1) key = reader.readBytes();
    else if (field === 2) value = reader.readBytes();
    else reader.skipField();
  }
  return { key, value };
}

/** The keys of the node's metadata that are read. */
const tokenPathKey = "dataplaneTokenPath";
const controlPlaneHostKey = "controlPlaneHost";
const logDirectoriesKey = "logDirectories";
const revisionKey = "bootstrapRevision";
const longestKey = Math.max(
  ...[tokenPathKey, controlPlaneHostKey, logDirectoriesKey, revisionKey].map((key) => key.length),
);

/** The text in a google.protobuf.Value; undefined when it holds something else. */
function readStringValue(value: Uint8Array, key: string): string | undefined {
  let text: string | undefined;
  const reader = new BinaryReader(value);
  while (reader.nextField()) {
    if (delimited(reader) === 3) text = boundedText(reader.readBytes(), "metadata_length", key);
    else reader.skipField();
  }
  return text;
}

/** At most `most` texts of a google.protobuf.Value that holds a list; undefined when it holds none. */
function readListValue(value: Uint8Array, key: string, most: number): string[] | undefined {
  let texts: string[] | undefined;
  const reader = new BinaryReader(value);
  while (reader.nextField()) {
    if (delimited(reader) !== 6) {
      reader.skipField();
      continue;
    }
    texts ??= [];
    const list = new BinaryReader(reader.readBytes());
    while (list.nextField()) {
      if (delimited(list) === 1 && texts.length < most) texts.push(readStringValue(list.readBytes(), key) ?? "");
      else list.skipField();
    }
  }
  return texts;
}

/** The number in a google.protobuf.Value; 0 when it holds something else. */
function readNumberValue(value: Uint8Array): number {
  let found = 0;
  const reader = new BinaryReader(value);
  while (reader.nextField()) {
    if (reader.getFieldNumber() === 2 && reader.getWireType() === 1) found = reader.readDouble();
    else reader.skipField();
  }
  return found;
}

/** Adds the metadata of a google.protobuf.Struct to the node: protobuf merges a message that occurs several times. */
function readMetadata(struct: Uint8Array, before: Node): Node {
  let { tokenPath, controlPlaneHost, logDirectories, bootstrapRevision } = before;
  const reader = new BinaryReader(struct);
  while (reader.nextField()) {
    if (delimited(reader) !== 1) {
      reader.skipField();
      continue;
    }
    const { key, value } = readEntry(reader.readBytes());
    const name = textOf(key, longestKey + 1);
    if (name === tokenPathKey) tokenPath = readStringValue(value, name) || undefined;
    else if (name === controlPlaneHostKey) controlPlaneHost = readStringValue(value, name) || undefined;
    else if (name === logDirectoriesKey) logDirectories = readListValue(value, name, mostLogDirectories);
    else if (name === revisionKey) bootstrapRevision = readNumberValue(value);
  }
  return { ...before, tokenPath, controlPlaneHost, logDirectories, bootstrapRevision };
}

function readNode(bytes: Uint8Array): Node {
  let node = unknownNode;
  const reader = new BinaryReader(bytes);
  while (reader.nextField()) {
    const field = delimited(reader);
    if (field === 1) node = { ...node, id: boundedText(reader.readBytes(), "node_id_length", "the node id") };
    else if (field === 3) node = readMetadata(reader.readBytes(), node);
    else reader.skipField();
  }
  return node;
}

/**
 * The id in an encoded Node.
 * @throws LimitExceeded when it is too long
 */
export const readNodeId = (bytes: Uint8Array): string => readNode(bytes).id;

/** A peer's error message, truncated here for all later uses: Envoy's may contain the whole resource. */
function readRefusal(errorDetail: Uint8Array): string {
  const most = xdsLimits.refusal_length.value;
  let text = "";
  const reader = new BinaryReader(errorDetail);
  while (reader.nextField()) {
    // A character has four bytes at most.
    if (delimited(reader) === 2) text = textOf(reader.readBytes(), 4 * (most + 1));
    else reader.skipField();
  }
  return text.length > most ? `${text.slice(0, most).toWellFormed()}…` : text;
}

/** Counts the names of one request. */
function createNameReader(): (bytes: Uint8Array) => string {
  const most = xdsLimits.names_in_request.value;
  let count = 0;
  return (bytes) => {
    count += 1;
    if (count > most)
      throw new LimitExceeded("names_in_request", callError("xds.count", { message: "request", most, what: "names" }));
    return textOf(bytes);
  };
}

/** Our versions have 22 characters. A longer one is not ours, and its value does not matter. */
const longestVersion = 64;
const foreignVersion = "?";

const versionOf = (bytes: Uint8Array) => (bytes.length > longestVersion ? foreignVersion : textOf(bytes));

/**
 * @param first whether to read the node, which only the first request of a stream must have
 * @throws LimitExceeded when the request exceeds a limit
 * @throws Error when the bytes are not a DeltaDiscoveryRequest
 */
export function decodeDeltaRequest(bytes: Uint8Array, first: boolean): DeltaRequest {
  let node = unknownNode;
  let typeUrl = "";
  let nonce = "";
  let refusal: string | undefined;
  const subscribe: string[] = [];
  const unsubscribe: string[] = [];
  const initialVersions = new Map<string, string>();
  const name = createNameReader();
  const reader = new BinaryReader(bytes);
  while (reader.nextField()) {
    const field = delimited(reader);
    if (field === 1 && first) node = readNode(reader.readBytes());
    else if (field === 2) typeUrl = reader.readString();
    else if (field === 3) subscribe.push(name(reader.readBytes()));
    else if (field === 4) unsubscribe.push(name(reader.readBytes()));
    else if (field === 5) {
      const { key, value } = readEntry(reader.readBytes());
      initialVersions.set(name(key), versionOf(value));
    } else if (field === 6) nonce = reader.readString();
    else if (field === 7) refusal = readRefusal(reader.readBytes());
    else reader.skipField();
  }
  const kind = kindOf.get(typeUrl);
  const request = kind === undefined ? undefined : { kind, nonce, refusal, subscribe, unsubscribe, initialVersions };
  return { node, typeUrl, request };
}

/**
 * @param first whether to read the node, which only the first request of a stream must have
 * @throws LimitExceeded when the request exceeds a limit
 * @throws Error when the bytes are not a DiscoveryRequest
 */
export function decodeSotwRequest(bytes: Uint8Array, first: boolean): SotwRequest {
  let node = unknownNode;
  let typeUrl = "";
  let nonce = "";
  let refusal: string | undefined;
  const names: string[] = [];
  const name = createNameReader();
  const reader = new BinaryReader(bytes);
  while (reader.nextField()) {
    const field = delimited(reader);
    if (field === 2 && first) node = readNode(reader.readBytes());
    else if (field === 3) names.push(name(reader.readBytes()));
    else if (field === 4) typeUrl = reader.readString();
    else if (field === 5) nonce = reader.readString();
    else if (field === 6) refusal = readRefusal(reader.readBytes());
    else reader.skipField();
  }
  return { node, typeUrl, kind: kindOf.get(typeUrl), names, nonce, refusal };
}
