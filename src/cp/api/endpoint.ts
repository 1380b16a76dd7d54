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

/** What the API shows and starts of certificate authorities and their rotations. */
export type RotationApi = Pick<Rotations, "status" | "list" | "rotate">;

/** Makes and takes back the certificate authority that a mesh is created with. */
export interface MeshAuthorities {
  /** True when there was none and it was made. */
  ensure(mesh: string): Promise<boolean>;
  discard(mesh: string): Promise<void>;
}

/** What is wrong with a valid spec that its type alone can't tell; may take a while. */
export type SpecCheck = (spec: unknown) => Promise<readonly Cause[]>;

/** What endpoints read from. Nothing in it changes anything, so that no GET can. */
export interface ReadContext {
  readonly registry: Registry;
  readonly store: Pick<Store, "get" | "list">;
  readonly renderer: Renderer;
  readonly rotations: Pick<RotationApi, "status" | "list">;
  readonly diagnosis: Diagnosis;
  /**
   * How the control plane is; bounded in what it costs, however often it is asked. Whether the store can be written to is
   * found out by a write that is taken back before anybody can see it: that is all of `Store.tryWrite` that a GET gets.
   */
  readonly status: () => Promise<Status>;
  /** The proxies connected to this control plane whose Dataplane does not exist. */
  readonly unregistered: () => readonly Unregistered[];
  readonly version: string;
  /** Bodies of `/catalogue` and `/config`. */
  readonly catalogue: unknown;
  readonly config: unknown;
}

/** What endpoints that change something need. */
export interface WriteContext {
  readonly registry: Registry;
  readonly store: Store;
  readonly renderer: Renderer;
  readonly rotations: Pick<RotationApi, "rotate">;
  /** The certificate authorities that meshes come with. */
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

/** An endpoint of the API that shows something. It is made from a ReadContext alone. */
export interface ReadEndpoint extends Endpoint {
  readonly methods: typeof readMethods;
  readonly access: "read";
}

/** An endpoint of the API that changes something: never by GET, and never for everyone. */
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

/** An endpoint that GET and HEAD reach; its handler gets the parameters that are in its path. */
export function reads<const Path extends string, Parameters extends PathParameters = ParametersOf<Path>>(
  endpoint: Described<Path, Parameters> & { readonly produces?: string },
): ReadEndpoint {
  return { methods: readMethods, access: "read", ...endpoint };
}

/** An endpoint that changes something. */
export function writes<const Path extends string, Parameters extends PathParameters = ParametersOf<Path>>(
  method: WriteMethod,
  access: WriteEndpoint["access"],
  endpoint: Described<Path, Parameters>,
): WriteEndpoint {
  return { methods: [method], access, ...endpoint };
}
