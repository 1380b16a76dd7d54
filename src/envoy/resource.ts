import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import { toBinary } from "@bufbuild/protobuf";
import { shortHash } from "../lib/short-hash.js";
import { createWeakTable } from "./weak-table.js";

/** The discovery services, by the keys that DataplaneInsight uses. */
export type XdsKind = "cds" | "eds" | "lds" | "rds" | "sds";

export const kinds: readonly XdsKind[] = ["cds", "eds", "lds", "rds", "sds"];

export const typeUrls: Readonly<Record<XdsKind, string>> = {
  cds: "type.googleapis.com/envoy.config.cluster.v3.Cluster",
  eds: "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
  lds: "type.googleapis.com/envoy.config.listener.v3.Listener",
  rds: "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
  sds: "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
};

/** An encoded Envoy resource. Equal content has equal bytes, and therefore an equal version, on every instance. */
export interface EnvoyResource {
  readonly name: string;
  /** Hash of the bytes. */
  readonly version: string;
  readonly bytes: Uint8Array;
  /** Clusters that a listener sends traffic to. They must not be removed before it. */
  readonly clusters: readonly string[];
  /** The name by which a cluster requests its endpoints; undefined for one that does not use EDS. */
  readonly edsName: string | undefined;
  /** Text that `explain` shows for a listener's kind; none for a TCP proxy. */
  readonly kind?: string | undefined;
  /** Comes from a ProxyTemplate: sent in a response of its own, so that an invalid one can't affect other resources. */
  readonly raw: boolean;
}

/** The configuration of one proxy, by kind and resource name, in sending order. */
export type ProxyConfig = Readonly<Record<XdsKind, ReadonlyMap<string, EnvoyResource>>>;

/** A configuration under construction. */
export type ProxyTables = Readonly<Record<XdsKind, Map<string, EnvoyResource>>>;

export const emptyConfig: ProxyConfig = {
  cds: new Map(),
  eds: new Map(),
  lds: new Map(),
  rds: new Map(),
  sds: new Map(),
};

const edsNames = new WeakMap<ProxyConfig["cds"], ReadonlySet<string>>();

/** The names by which the clusters of a configuration request their endpoints. */
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

const encoded = createWeakTable<EnvoyResource>();

/**
 * Encodes a message. Equal content gives the same object while it is referenced, so a thousand proxies with one cluster
 * share its bytes.
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
  const known = encoded.get(key);
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
  encoded.set(key, resource);
  return resource;
}
