import type { KubeClient } from "../kubeapi/client.js";
import type { Logger } from "../lib/logger.js";
import type { SettingsTable, Values } from "../lib/settings.js";
import type { Registry } from "../resources/registry.js";
import type { Instances } from "./instances.js";
import type { Leadership } from "./leadership.js";
import type { Store } from "./store.js";

/** What a store needs to open, besides its own settings. */
export interface StoreContext {
  readonly registry: Registry;
  readonly logger: Logger;
  /** Id of this control plane instance; new at each start. */
  readonly instanceId: string;
  /** How often to poll for changes where notifications are not available, in milliseconds. */
  readonly pollingIntervalMs: number;
  /** Aborts waiting for an unavailable store. */
  readonly signal: AbortSignal;
}

/** A store that is ready, with the instances that share it and their leadership. */
export interface OpenedStore {
  readonly store: Store;
  readonly instances: Instances;
  readonly leadership: Leadership;
  /** Of a store in the Kubernetes API. */
  readonly kubernetes?: KubernetesAccess;
}

/** What controllers need of a store in the Kubernetes API. */
export interface KubernetesAccess {
  readonly client: KubeClient;
  readonly systemNamespace: string;
  /** The objects that can't be read at the moment, and have no effect. */
  skipped(): readonly SkippedObject[];
}

/** An object that can't be read as a resource. */
export interface SkippedObject {
  /** The type of resource that it would be. */
  readonly type: string;
  readonly name: string;
  readonly namespace: string | undefined;
  readonly uid: string | undefined;
  /** Completes a sentence about it. */
  readonly reason: string;
}

/** A kind of store: everything that a control plane must know before it opens one. */
export interface StoreKind<Table extends SettingsTable = SettingsTable> {
  /** The value of `store.type` that selects it; the keys of its settings begin with it. */
  readonly name: string;
  readonly settings: Table;
  /** Logged once the control plane runs. */
  readonly notice?: string;
  /** What to check when writes fail; completes "fix what the reason names: ". */
  readonly repair?: string;
  /**
   * Checks before the control plane opens a port whether the store can be opened at all.
   * @throws UserError if waiting can't make it so
   */
  check?(settings: Values<Table>): Promise<void>;
  /** Contradictions among its settings; checked only if this kind is selected. */
  contradictions(settings: Values<Table>): readonly string[];
  /**
   * Opens the store and waits until it is available. Its modules are loaded now, not with the settings.
   * @throws UserError for a store that waiting cannot make usable
   */
  open(settings: Values<Table>, context: StoreContext): Promise<OpenedStore>;
}

/** Defines a kind of store, by default one without contradictory settings. */
export const storeKind = <Name extends string, Table extends SettingsTable>(
  special: Omit<StoreKind<Table>, "contradictions" | "name"> &
    Partial<Pick<StoreKind<Table>, "contradictions">> & { readonly name: Name },
) => ({ contradictions: () => [], ...special });
