import type { UserError } from "../../lib/errors.js";
import type { Binding } from "../../net/listen.js";
import type { UnregisteredProxy } from "../api-client.js";
import type { AuthorityStatus } from "../authority.js";
import type { MeshState, ProxyState } from "./proxy.js";
import type { ControlPlaneStatus } from "./status.js";

/** The part of the checks that the user asked for. */
export interface Scope {
  /** Only check what a control plane or a dataplane on this machine will need. */
  readonly pre: boolean;
  /** The only mesh to check; undefined for all. */
  readonly mesh: string | undefined;
  /** A token to check, and the dataplane that it should belong to. */
  readonly token: { readonly file: string; readonly name: string; readonly mesh: string } | undefined;
}

/** A program that listens on a port. */
export interface PortHolder {
  readonly program: string;
  readonly pid: number;
}

/** Why a port can't be opened. */
export interface PortRefusal {
  readonly error: UserError;
  /** True when another process listens there; otherwise the address does not exist or this user lacks permission. */
  readonly taken: boolean;
  /** That process; undefined when we lack permission to see it. */
  readonly holder: PortHolder | undefined;
}

/** Environment variable that configures kuma-dp's Envoy. */
export const binaryPath = "KUMA_DATAPLANE_RUNTIME_BINARY_PATH";

/** The machine that kumactl runs on. */
export interface Machine {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The version of glibc; undefined when the system has none. */
  glibc(): string | undefined;
  /** The Envoy that kuma-dp would run. Throws UserError("envoy.not-executable" | "envoy.not-found"). */
  findEnvoy(): string;
  /** Why that Envoy can't run here; undefined when it can. */
  diagnoseEnvoy(binary: string): Promise<string | undefined>;
  /** Opens the port briefly; undefined when that worked. */
  tryPort(binding: Binding): Promise<PortRefusal | undefined>;
  /** Throws a UserError that names the file. */
  readToken(file: string): string;
  now(): Date;
}

/** The response of a server's root path, where a control plane returns its name and version. */
export interface Index {
  readonly status: number;
  readonly tagline: string;
  readonly version: string;
  /**
   * How far the server's clock is ahead of ours in milliseconds (negative when it is behind); undefined when the
   * response has no time.
   */
  readonly ahead: number | undefined;
}

/** A problem that the control plane finds in a mesh. */
export interface FoundProblem {
  readonly mesh: string;
  /** Stable; a newer control plane may have codes that are unknown here. */
  readonly code: string;
  readonly message: string;
  /** The dataplanes concerned; empty when the problem is not about particular ones. */
  readonly dataplanes: readonly string[];
}

/** The control plane that kumactl is configured for. Each request is sent once, however many checks use the response. */
export interface ControlPlane {
  /** Throws a UserError when the configuration has no control plane. */
  address(): Promise<URL>;
  /** Whether that address is this machine. */
  isLocal(): Promise<boolean>;
  /** Throws a UserError when there is no response. */
  index(): Promise<Index>;
  /** Its settings as `/config` returns them; undefined when the control plane does not provide them. */
  settings(): Promise<unknown>;
  /** Undefined when the control plane does not provide it. */
  status(): Promise<ControlPlaneStatus | undefined>;
  /** The meshes to check. */
  meshes(): Promise<readonly MeshState[]>;
  authorities(): Promise<readonly AuthorityStatus[]>;
  /** The dataplanes of those meshes. */
  proxies(): Promise<readonly ProxyState[]>;
  /** The problems that it finds in those meshes; undefined when the control plane does not look for problems. */
  problems(): Promise<readonly FoundProblem[] | undefined>;
  /** Connected proxies without a Dataplane, in the mesh to check, or in any mesh when none is named. */
  unregistered(): Promise<readonly UnregisteredProxy[]>;
}

/** What the checks examine. */
export interface CheckContext {
  /** The version of this kumactl. */
  readonly version: string;
  readonly scope: Scope;
  readonly machine: Machine;
  readonly controlPlane: ControlPlane;
}
