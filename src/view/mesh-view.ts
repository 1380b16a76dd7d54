import type { Map as PersistentMap } from "immutable";
import type { Mesh } from "../resources/mesh.js";
import type { Secret } from "../resources/secret.js";
import type { Stored } from "../store/store.js";
import type { Policies } from "./policies.js";

/** The address of one instance of a service, with the tags of its inbound. */
export interface Endpoint {
  readonly address: string;
  readonly port: number;
  readonly tags: Readonly<Record<string, string>>;
  /** Its sidecar reported that the application does not accept connections. */
  readonly down?: true;
}

export interface Inbound {
  readonly address: string;
  readonly port: number;
  /** The application's port on 127.0.0.1. */
  readonly servicePort: number;
  readonly service: string;
  readonly tags: Readonly<Record<string, string>>;
}

export interface Outbound {
  readonly address: string;
  readonly port: number;
  readonly service: string;
}

/** A Dataplane with parsed interfaces. Unusable ones are omitted and listed. */
export interface ProxyView {
  readonly name: string;
  readonly inbounds: readonly Inbound[];
  readonly outbounds: readonly Outbound[];
  /** Port that connections are redirected to; 0 without transparent proxying. */
  readonly redirectPort: number;
  /** Field paths of interfaces that do not parse. A Dataplane with any of these has no endpoints. */
  readonly unusable: readonly string[];
}

export interface Service {
  readonly members: PersistentMap<string, readonly Endpoint[]>;
  /** Sorted by address and port, without exact duplicates; computed on first read. */
  readonly endpoints: readonly Endpoint[];
}

/** The immutable view of one mesh. A change yields a new one that shares all unchanged parts. */
export interface MeshView {
  readonly name: string;
  /** Undefined while resources of the mesh exist, but not the Mesh itself. */
  readonly resource: Stored<Mesh> | undefined;
  readonly proxies: PersistentMap<string, ProxyView>;
  readonly services: PersistentMap<string, Service>;
  readonly policies: Policies;
  /** The ports that applications do not accept connections on, by dataplane; only dataplanes that have any. */
  readonly down: PersistentMap<string, ReadonlySet<number>>;
  /** The Secret with the mesh's certificate authority. */
  readonly authority: Stored<Secret> | undefined;
}

/** All meshes by name. */
export type View = PersistentMap<string, MeshView>;
