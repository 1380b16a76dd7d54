import type { Map as PersistentMap } from "immutable";
import type { Mesh } from "../resources/mesh.js";
import type { Secret } from "../resources/secret.js";
import type { Stored } from "../store/store.js";
import type { Policies } from "./policies.js";

/** Where one instance of a service can be reached, with the tags of the inbound that offers it. */
export interface Endpoint {
  readonly address: string;
  readonly port: number;
  readonly tags: Readonly<Record<string, string>>;
  /** Its sidecar says that the application behind it does not accept connections. */
  readonly down?: true;
}

export interface Inbound {
  readonly address: string;
  readonly port: number;
  /** Where the service itself listens, on 127.0.0.1. */
  readonly servicePort: number;
  readonly service: string;
  readonly tags: Readonly<Record<string, string>>;
}

export interface Outbound {
  readonly address: string;
  readonly port: number;
  readonly service: string;
}

/** A Dataplane as the translate stage reads it: interfaces parsed, unusable ones left out and named. */
export interface ProxyView {
  readonly name: string;
  readonly inbounds: readonly Inbound[];
  readonly outbounds: readonly Outbound[];
  /** Port that redirected connections arrive on; 0 without transparent proxying. */
  readonly redirectPort: number;
  /** Field paths of interfaces that do not parse; such a Dataplane offers no endpoints. */
  readonly unusable: readonly string[];
}

export interface Service {
  readonly members: PersistentMap<string, readonly Endpoint[]>;
  /** Sorted by address and port, exact duplicates dropped; made at the first read. */
  readonly endpoints: readonly Endpoint[];
}

/** The immutable picture of one mesh; a change yields a new one that shares all it does not touch. */
export interface MeshView {
  readonly name: string;
  /** Undefined while only resources of the mesh are known, not the mesh itself. */
  readonly resource: Stored<Mesh> | undefined;
  readonly proxies: PersistentMap<string, ProxyView>;
  readonly services: PersistentMap<string, Service>;
  readonly policies: Policies;
  /** By dataplane, the ports at which its applications do not accept connections; only those that have some. */
  readonly down: PersistentMap<string, ReadonlySet<number>>;
  /** The Secret that holds the mesh's certificate authority. */
  readonly authority: Stored<Secret> | undefined;
}

/** All meshes by name. */
export type View = PersistentMap<string, MeshView>;
