import { envoy } from "../../proto-gen/envelope/envoy/service/discovery/v3/discovery.js";
import { google } from "../../proto-gen/envelope/google/protobuf/any.js";
import { type EnvoyResource, kinds, typeUrls, type XdsKind } from "../envoy/resource.js";
import { createLately } from "../lib/lately.js";
import { mostLogDirectories } from "../lib/log-directories.js";
import { type Frame, frame } from "../net/grpc-frame.js";
import { contentHash, type Response } from "./response.js";
import type { Request } from "./session.js";

const { DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse, Resource } =
  envoy.service.discovery.v3;

const kindOf = new Map<string, XdsKind>(kinds.map((kind) => [typeUrls[kind], kind]));

/** What a client says about itself in the first request of a stream. */
export interface Node {
  /** Empty when the request says nothing. */
  readonly id: string;
  /** Where the proxy's token is, as its bootstrap request said. */
  readonly tokenPath: string | undefined;
  /** Where its log files may go, as its bootstrap request said; undefined when it said nothing. */
  readonly logDirectories: readonly string[] | undefined;
}

/** A delta request as it came, its type already looked up. */
export interface DeltaRequest {
  readonly node: Node;
  readonly typeUrl: string;
  /** Undefined for a type we don't serve. */
  readonly request: Request | undefined;
}

/** The longest path there is on Linux. */
const longestPath = 4096;

type EnvoyNode = InstanceType<typeof DeltaDiscoveryRequest>["node"];

function readNode(node: EnvoyNode | undefined): Node {
  if (node === undefined) return { id: "", tokenPath: undefined, logDirectories: undefined };
  const fields = node.has_metadata ? node.metadata.fields : undefined;
  const path = fields?.get("dataplaneTokenPath")?.string_value;
  const directories = fields?.get("logDirectories")?.list_value.values;
  const usable = path !== undefined && path !== "" && path.length <= longestPath;
  return {
    id: node.id,
    tokenPath: usable ? path : undefined,
    logDirectories: directories?.slice(0, mostLogDirectories).map((directory) => directory.string_value),
  };
}

/** @throws when the bytes are not a DeltaDiscoveryRequest */
export function decodeDeltaRequest(bytes: Uint8Array): DeltaRequest {
  const message = DeltaDiscoveryRequest.deserialize(bytes);
  const typeUrl = message.type_url;
  const kind = kindOf.get(typeUrl);
  return {
    node: readNode(message.has_node ? message.node : undefined),
    typeUrl,
    request:
      kind === undefined
        ? undefined
        : {
            kind,
            nonce: message.response_nonce,
            refusal: message.has_error_detail ? message.error_detail.message : undefined,
            subscribe: message.resource_names_subscribe,
            unsubscribe: message.resource_names_unsubscribe,
            initialVersions: message.initial_resource_versions,
          },
  };
}

function encodeDelta({ kind, resources, removed, nonce }: Response): Frame {
  const typeUrl = typeUrls[kind];
  const message = new DeltaDiscoveryResponse({
    type_url: typeUrl,
    nonce,
    removed_resources: [...removed],
    resources: resources.map(
      ({ name, version, bytes }) =>
        new Resource({ name, version, resource: new google.protobuf.Any({ type_url: typeUrl, value: bytes }) }),
    ),
  });
  return frame(message.serialize());
}

/** Messages encoded lately; what they say and their nonces make up their keys, so equal keys mean equal bytes. */
const lately = createLately<Frame>(256);

/** The bytes of a response, encoded once for all streams that are told the same. */
export function encodeDeltaResponse(response: Response): Frame {
  return lately(`${response.kind} ${response.nonce}`, () => encodeDelta(response));
}

/** A state-of-the-world request as it came. */
export interface SotwRequest {
  readonly node: Node;
  readonly typeUrl: string;
  /** Undefined for a type we don't serve. */
  readonly kind: XdsKind | undefined;
  /** Everything the client wants of the type; none for a wildcard. */
  readonly names: readonly string[];
  /** Nonce of the response this answers; empty when it answers none. */
  readonly nonce: string;
  readonly refusal: string | undefined;
}

/** @throws when the bytes are not a DiscoveryRequest */
export function decodeSotwRequest(bytes: Uint8Array): SotwRequest {
  const message = DiscoveryRequest.deserialize(bytes);
  return {
    node: readNode(message.has_node ? message.node : undefined),
    typeUrl: message.type_url,
    kind: kindOf.get(message.type_url),
    names: message.resource_names,
    nonce: message.response_nonce,
    refusal: message.has_error_detail ? message.error_detail.message : undefined,
  };
}

function encodeSotw(kind: XdsKind, resources: readonly EnvoyResource[], nonce: string, version: string): Frame {
  const typeUrl = typeUrls[kind];
  const message = new DiscoveryResponse({
    version_info: version,
    type_url: typeUrl,
    nonce,
    resources: resources.map(({ bytes }) => new google.protobuf.Any({ type_url: typeUrl, value: bytes })),
  });
  return frame(message.serialize());
}

/**
 * A state-of-the-world response, encoded once for all streams that are told the same; its version is a hash of what it
 * holds.
 */
export function encodeSotwResponse(kind: XdsKind, resources: readonly EnvoyResource[], nonce: string): Frame {
  const version = contentHash(kind, resources, []);
  const encode = () => encodeSotw(kind, resources, nonce, version);
  // A proxy's key is nobody else's, and is not kept for longer than it takes to send it.
  return kind === "sds" ? encode() : lately(`${version} ${nonce}`, encode);
}
