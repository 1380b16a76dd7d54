import type { Cause } from "../../lib/errors.js";
import type { Logger } from "../../lib/logger.js";
import type { Call, Endpoint, ParametersOf, PathParameters } from "../../net/endpoints.js";
import type { HttpReply } from "../../net/exchange.js";
import type { Registry } from "../../resources/registry.js";
import type { Store } from "../../store/store.js";
import type { Unregistered } from "../../xds/configuration/proxies.js";
import type { Diagnosis } from "../explain/diagnosis.js";
import type { Rotations } from "../rotations.js";
import type { Status } from "../status.js";
import type { Renderer } from "./rendering.js";

/** The API's access to certificate authorities and their rotations. */
export type RotationApi = Pick<Rotations, "status" | "list" | "rotate">;

/** Creates and deletes the certificate authority of a new mesh. */
export interface MeshAuthorities {
  /** Returns true if it created the authority. */
  ensure(mesh: string): Promise<boolean>;
  discard(mesh: string): Promise<void>;
}

/** Validation beyond what a type can check alone; may take a while. */
export type SpecCheck = (spec: unknown) => Promise<readonly Cause[]>;

/** What reading endpoints may use. Nothing in it changes anything, so no GET can. */
export interface ReadContext {
  readonly registry: Registry;
  readonly store: Pick<Store, "get" | "list">;
  readonly renderer: Renderer;
  readonly rotations: Pick<RotationApi, "status" | "list">;
  readonly diagnosis: Diagnosis;
  /**
   * The status of the control plane; its cost is limited, however often it is requested. It checks that the store is
   * writable by `Store.tryWrite`, which rolls its write back; a GET has no other access to it.
   */
  readonly status: () => Promise<Status>;
  /** Proxies connected to this control plane without a Dataplane resource. */
  readonly unregistered: () => readonly Unregistered[];
  readonly version: string;
  /** Bodies of `/catalogue` and `/config`. */
  readonly catalogue: unknown;
  readonly config: unknown;
}

/** What writing endpoints may use. */
export interface WriteContext {
  readonly registry: Registry;
  readonly store: Store;
  readonly renderer: Renderer;
  readonly rotations: Pick<RotationApi, "rotate">;
  /** Certificate authorities for new meshes. */
  readonly authorities: MeshAuthorities;
  /** By the name of the type. */
  readonly checks: ReadonlyMap<string, SpecCheck>;
  readonly logger: Logger;
}

export interface ApiContext extends ReadContext, WriteContext {
  readonly store: Store;
  readonly rotations: RotationApi;
}

const readMethods = ["GET", "HEAD"] as const;
type WriteMethod = "POST" | "PUT" | "PATCH" | "DELETE";

/** A reading endpoint of the API, created from a ReadContext alone. */
export interface ReadEndpoint extends Endpoint {
  readonly methods: typeof readMethods;
  readonly access: "read";
}

/** A writing endpoint of the API: never with GET, and never open to everyone. */
export interface WriteEndpoint extends Endpoint {
  readonly methods: readonly WriteMethod[];
  readonly access: "write" | "rotate";
}

interface Described<Path extends string, Parameters> {
  readonly path: Path;
  readonly aliases?: readonly string[];
  /** The `title` of its error bodies. */
  readonly title: string;
  readonly handle: (call: Call<Parameters>) => HttpReply | Promise<HttpReply>;
}

/** Defines an endpoint for GET and HEAD; its handler is typed by the parameters in its path. */
export function reads<const Path extends string, Parameters extends PathParameters = ParametersOf<Path>>(
  endpoint: Described<Path, Parameters> & { readonly produces?: string },
): ReadEndpoint {
  return { methods: readMethods, access: "read", ...endpoint };
}

/** Defines a writing endpoint. */
export function writes<const Path extends string, Parameters extends PathParameters = ParametersOf<Path>>(
  method: WriteMethod,
  access: WriteEndpoint["access"],
  endpoint: Described<Path, Parameters>,
): WriteEndpoint {
  return { methods: [method], access, ...endpoint };
}
