import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import { toBinary } from "@bufbuild/protobuf";
import { shortHash } from "../lib/short-hash.js";
import { createWeakTable } from "./weak-table.js";

/** The discovery services we speak, by the key DataplaneInsight uses for them. */
export type XdsKind = "cds" | "eds" | "lds" | "rds" | "sds";

export const kinds: readonly XdsKind[] = ["cds", "eds", "lds", "rds", "sds"];

export const typeUrls: Readonly<Record<XdsKind, string>> = {
  cds: "type.googleapis.com/envoy.config.cluster.v3.Cluster",
  eds: "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
  lds: "type.googleapis.com/envoy.config.listener.v3.Listener",
  rds: "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
  sds: "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
};

/** One Envoy resource, encoded. Equal meaning has equal bytes and so an equal version, on every instance. */
export interface EnvoyResource {
  readonly name: string;
  /** Hash of the bytes. */
  readonly version: string;
  readonly bytes: Uint8Array;
  /** Clusters that a listener sends traffic to: they must outlive it on the way down. */
  readonly clusters: readonly string[];
  /** The name that a cluster asks for its endpoints by; undefined for one that does not learn them by EDS. */
  readonly edsName: string | undefined;
  /** What `explain` says of the kind of a listener; nothing of a TCP proxy. */
  readonly kind?: string | undefined;
  /** Comes from a ProxyTemplate: travels in a response of its own, so that it can't cost another resource. */
  readonly raw: boolean;
}

/** Everything one proxy is told, by kind and resource name, in sending order. */
export type ProxyConfig = Readonly<Record<XdsKind, ReadonlyMap<string, EnvoyResource>>>;

/** The same while it is being made. */
export type ProxyTables = Readonly<Record<XdsKind, Map<string, EnvoyResource>>>;

export const emptyConfig: ProxyConfig = {
  cds: new Map(),
  eds: new Map(),
  lds: new Map(),
  rds: new Map(),
  sds: new Map(),
};

const edsNames = new WeakMap<ProxyConfig["cds"], ReadonlySet<string>>();

/** The names that the clusters of a configuration ask for their endpoints by. */
export function edsNamesOf({ cds }: ProxyConfig): ReadonlySet<string> {
  let names = edsNames.get(cds);
  if (names === undefined) {
    const found = new Set<string>();
    for (const { edsName } of cds.values()) if (edsName !== undefined) found.add(edsName);
    names = found;
    edsNames.set(cds, names);
  }
  return names;
}

const held = createWeakTable<EnvoyResource>();

/**
 * Encodes a message. The same content gives the same object for as long as anyone holds it, so a
 * thousand proxies with one cluster share its bytes.
 */
export function encode<Desc extends DescMessage>(
  schema: Desc,
  name: string,
  message: MessageShape<Desc>,
  about: Partial<Pick<EnvoyResource, "clusters" | "edsName" | "kind" | "raw">> = {},
): EnvoyResource {
  const bytes = toBinary(schema, message);
  const version = shortHash(bytes);
  const key = `${schema.typeName} ${about.raw === true} ${version}`;
  const known = held.get(key);
  if (known !== undefined) return known;
  const resource: EnvoyResource = {
    name,
    version,
    bytes,
    clusters: about.clusters ?? [],
    edsName: about.edsName,
    kind: about.kind,
    raw: about.raw ?? false,
  };
  held.set(key, resource);
  return resource;
}
