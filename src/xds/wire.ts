import { envoy } from "../../proto-gen/envelope/envoy/service/discovery/v3/discovery.js";
import { google } from "../../proto-gen/envelope/google/protobuf/any.js";
import { type EnvoyResource, typeUrls, type XdsKind } from "../envoy/resource.js";
import { createLruCache } from "../lib/lru-cache.js";
import { type Frame, frame } from "../net/grpc-frame.js";
import { contentHash, type Response } from "./response.js";

const { DeltaDiscoveryResponse, DiscoveryResponse, Resource } = envoy.service.discovery.v3;

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

/** The messages encoded most recently. Their content and nonces make up their keys, so equal keys mean equal bytes. */
const cached = createLruCache<Frame>(256);

/** Encodes a response once for all streams with the same content. */
export function encodeDeltaResponse(response: Response): Frame {
  return cached(`${response.kind} ${response.nonce}`, () => encodeDelta(response));
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
 * Encodes a state-of-the-world response once for all streams with the same content. Its version is a hash of its
 * content.
 */
export function encodeSotwResponse(kind: XdsKind, resources: readonly EnvoyResource[], nonce: string): Frame {
  const version = contentHash(kind, resources, []);
  const encode = () => encodeSotw(kind, resources, nonce, version);
  // A private key belongs to one proxy, and must not be kept in memory longer than it takes to send it.
  return kind === "sds" ? encode() : cached(`${version} ${nonce}`, encode);
}
