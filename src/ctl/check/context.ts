import type { UserError } from "../../lib/errors.js";
import type { Binding } from "../../net/listen.js";
import type { UnregisteredProxy } from "../api-client.js";
import type { AuthorityStatus } from "../authority.js";
import type { ProxyState } from "./proxy.js";
import type { ControlPlaneStatus } from "./status.js";

/** What the user asked for. */
export interface Scope {
  /** Only what has to hold before a control plane or a dataplane is started here. */
  readonly pre: boolean;
  /** The only mesh to look at; all of them when undefined. */
  readonly mesh: string | undefined;
  /** A token to look at, and whose it should be. */
  readonly token: { readonly file: string; readonly name: string; readonly mesh: string } | undefined;
}

/** A program that listens on a port. */
export interface PortHolder {
  readonly program: string;
  readonly pid: number;
}

/** Why a port can't be had. */
export interface PortRefusal {
  readonly error: UserError;
  /** Somebody else listens there; otherwise there is no such address, or this user may not. */
  readonly taken: boolean;
  /** Who that is; undefined where it is not ours to see. */
  readonly holder: PortHolder | undefined;
}

/** The machine that kumactl runs on. */
export interface Machine {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The version of glibc; undefined on a system without it. */
  glibc(): string | undefined;
  /** The Envoy that kuma-dp would run. Throws UserError("envoy.not-executable" | "envoy.not-found"). */
  findEnvoy(): string;
  /** Why that Envoy can't run here; undefined when it can. */
  diagnoseEnvoy(binary: string): Promise<string | undefined>;
  /** Opens the port for a moment; undefined when it could. */
  tryPort(binding: Binding): Promise<PortRefusal | undefined>;
  /** Throws a UserError that names the file. */
  readToken(file: string): string;
  now(): Date;
}

/** The root document of a server, which a control plane answers with its name and version. */
export interface Index {
  readonly status: number;
  readonly tagline: string;
  readonly version: string;
  /** How far its clock is ahead of ours (behind: negative) in milliseconds; undefined when it tells no time. */
  readonly ahead: number | undefined;
}

export interface MeshState {
  readonly name: string;
  readonly mtls: boolean;
}

/** What the control plane finds wrong in a mesh. */
export interface FoundProblem {
  readonly mesh: string;
  /** Stable; a newer control plane may know more of them than we do. */
  readonly code: string;
  readonly message: string;
  /** Those that it is about; none when it is about no single one. */
  readonly dataplanes: readonly string[];
}

/** The control plane that kumactl is configured for. Each is asked once, however many checks look at the answer. */
export interface ControlPlane {
  /** Throws a UserError when the configuration leads to none. */
  address(): Promise<URL>;
  /** Whether that address is this very machine. */
  isLocal(): Promise<boolean>;
  /** Throws a UserError when there is no answer. */
  index(): Promise<Index>;
  /** Its settings, as `/config` has them; undefined for a control plane that doesn't tell. */
  settings(): Promise<unknown>;
  /** Undefined for a control plane that doesn't tell. */
  status(): Promise<ControlPlaneStatus | undefined>;
  /** The meshes to look at. */
  meshes(): Promise<readonly MeshState[]>;
  authorities(): Promise<readonly AuthorityStatus[]>;
  /** The dataplanes of those meshes. */
  proxies(): Promise<readonly ProxyState[]>;
  /** What it finds wrong in those meshes; undefined for a control plane that doesn't look. */
  problems(): Promise<readonly FoundProblem[] | undefined>;
  /** Proxies that are connected and have no Dataplane, in those meshes or, where none is named, in whatever mesh. */
  unregistered(): Promise<readonly UnregisteredProxy[]>;
}

/** What the checks look at. */
export interface CheckContext {
  /** The version of this kumactl. */
  readonly version: string;
  readonly scope: Scope;
  readonly machine: Machine;
  readonly controlPlane: ControlPlane;
}
