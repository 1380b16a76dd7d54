import { envoy as base } from "../../proto-gen/envelope/envoy/config/core/v3/base.js";
import { envoy } from "../../proto-gen/envelope/envoy/service/discovery/v3/discovery.js";
import { typeUrls, type XdsKind } from "../../src/envoy/resource.js";

const { DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse } =
  envoy.service.discovery.v3;

/** The two protocols by which an Envoy can follow its configuration. */
export type Mode = "delta" | "sotw";

/** What a simulated proxy follows on its aggregated stream, in the order in which it needs it. */
const followed = ["cds", "eds", "lds"] as const;
export type Followed = (typeof followed)[number];

/** How a simulated proxy speaks on its aggregated stream; it remembers what it has from one stream to the next. */
export interface Dialect {
  readonly path: string;
  /** What a new stream begins with. */
  open(): Buffer[];
  /** What a response is about, and what it is answered with: the acknowledgement first. */
  answer(response: Uint8Array): { readonly kind: Followed; readonly requests: readonly Buffer[] } | undefined;
}

const service = "/envoy.service.discovery.v3.AggregatedDiscoveryService";
export const deltaPath = `${service}/DeltaAggregatedResources`;
export const sotwPath = `${service}/StreamAggregatedResources`;

const bufferOf = (message: { serialize(): Uint8Array }): Buffer => Buffer.from(message.serialize());
const kindOf = (typeUrl: string) => followed.find((kind) => typeUrls[kind] === typeUrl);

/** Clusters of this proxy's own ports have a colon in their names, those of services learn their endpoints by EDS. */
const byEds = (names: Iterable<string>) => [...names].filter((name) => !name.includes(":"));

export const nodeOf = (id: string) => new base.config.core.v3.Node({ id, cluster: id.slice(id.indexOf(".") + 1) });

function createDelta(id: string): Dialect {
  const node = nodeOf(id);
  /** Versions by name. */
  const held: Readonly<Record<XdsKind, Map<string, string>>> = {
    cds: new Map(),
    eds: new Map(),
    lds: new Map(),
    rds: new Map(),
    sds: new Map(),
  };
  const asked = new Set<Followed>();
  const names = new Set<string>();

  interface Request {
    readonly nonce?: string;
    readonly subscribe?: readonly string[];
    readonly unsubscribe?: readonly string[];
    readonly introduce?: boolean;
  }

  function request(kind: XdsKind, { nonce = "", subscribe = [], unsubscribe = [], introduce = false }: Request) {
    return bufferOf(
      new DeltaDiscoveryRequest({
        ...(introduce ? { node } : {}),
        type_url: typeUrls[kind],
        response_nonce: nonce,
        resource_names_subscribe: [...subscribe],
        resource_names_unsubscribe: [...unsubscribe],
        ...(nonce === "" ? { initial_resource_versions: held[kind] } : {}),
      }),
    );
  }

  /** Follows the endpoints of the clusters that there are now. */
  function followEndpoints(): Buffer[] {
    const present = new Set(byEds(held.cds.keys()));
    const subscribe = [...present].filter((name) => !names.has(name));
    const unsubscribe = [...names].filter((name) => !present.has(name));
    for (const name of subscribe) names.add(name);
    for (const name of unsubscribe) names.delete(name);
    asked.add("eds");
    return subscribe.length + unsubscribe.length === 0 ? [] : [request("eds", { subscribe, unsubscribe })];
  }

  return {
    path: deltaPath,
    open() {
      const requests = [request("cds", { introduce: true })];
      asked.add("cds");
      if (asked.has("eds")) requests.push(request("eds", { subscribe: [...names] }));
      if (asked.has("lds")) requests.push(request("lds", {}));
      return requests;
    },
    answer(bytes) {
      const {
        type_url: typeUrl,
        nonce,
        resources,
        removed_resources: removed,
      } = DeltaDiscoveryResponse.deserialize(bytes);
      const kind = kindOf(typeUrl);
      if (kind === undefined) return undefined;
      for (const { name, version } of resources) held[kind].set(name, version);
      for (const name of removed) held[kind].delete(name);
      const requests = [request(kind, { nonce })];
      if (kind === "cds") requests.push(...followEndpoints());
      if (!asked.has("lds") && (kind === "eds" || names.size === 0)) {
        asked.add("lds");
        requests.push(request("lds", {}));
      }
      return { kind, requests };
    },
  };
}

/** The name of a cluster or an assignment is its first field. */
function nameOf(resource: Uint8Array): string {
  const length = resource[1] ?? 0;
  return resource[0] === 0x0a && length < 0x80 ? Buffer.from(resource.subarray(2, 2 + length)).toString() : "";
}

function createSotw(id: string): Dialect {
  const node = nodeOf(id);
  const versions = new Map<Followed, string>();
  const nonces = new Map<Followed, string>();
  const asked = new Set<Followed>();
  let names: readonly string[] = [];

  function request(kind: Followed, introduce = false): Buffer {
    asked.add(kind);
    return bufferOf(
      new DiscoveryRequest({
        ...(introduce ? { node } : {}),
        type_url: typeUrls[kind],
        version_info: versions.get(kind) ?? "",
        response_nonce: nonces.get(kind) ?? "",
        resource_names: kind === "eds" ? [...names] : [],
      }),
    );
  }

  return {
    path: sotwPath,
    open() {
      nonces.clear();
      return [
        request("cds", true),
        ...(["eds", "lds"] as const).filter((kind) => asked.has(kind)).map((kind) => request(kind)),
      ];
    },
    answer(bytes) {
      const { type_url: typeUrl, nonce, resources, version_info: version } = DiscoveryResponse.deserialize(bytes);
      const kind = kindOf(typeUrl);
      if (kind === undefined) return undefined;
      versions.set(kind, version);
      nonces.set(kind, nonce);
      const requests = [request(kind)];
      if (kind === "cds") {
        const present = byEds(resources.map(({ value }) => nameOf(value)));
        if (present.join() !== names.join()) {
          names = present;
          requests.push(request("eds"));
        }
      }
      if (!asked.has("lds") && (kind === "eds" || names.length === 0)) requests.push(request("lds"));
      return { kind, requests };
    },
  };
}

/** @param id of the node, `<mesh>.<name>` */
export const createDialect = (mode: Mode, id: string): Dialect => (mode === "delta" ? createDelta(id) : createSotw(id));
