import type { Logger } from "../lib/logger.js";
import type { SettingsTable, Values } from "../lib/settings.js";
import type { Registry } from "../resources/registry.js";
import type { Instances } from "./instances.js";
import type { Leadership } from "./leadership.js";
import type { Store } from "./store.js";

/** What a control plane gives a store that it opens, beside the store's own settings. */
export interface StoreContext {
  readonly registry: Registry;
  readonly logger: Logger;
  /** Of this control plane; chosen anew at each start. */
  readonly instanceId: string;
  /** How often to look for changes where they can't be announced, in milliseconds. */
  readonly pollingIntervalMs: number;
  /** Ends the wait for a store that is not there yet. */
  readonly signal: AbortSignal;
}

/** A store that is ready, with what the control planes that share it know of each other through it. */
export interface OpenedStore {
  readonly store: Store;
  readonly instances: Instances;
  readonly leadership: Leadership;
}

/** Where resources can be kept: everything that a control plane has to know of it before one is opened. */
export interface StoreKind<Table extends SettingsTable = SettingsTable> {
  /** The value of `store.type` that chooses it; the keys of its settings begin with it. */
  readonly name: string;
  readonly settings: Table;
  /** What the log says once a control plane runs on it. */
  readonly notice?: string;
  /** What to look at when nothing can be written to it; completes "mend what the reason names: ". */
  readonly repair?: string;
  /** What is wrong with its settings together; asked only when they are used. */
  contradictions(settings: Values<Table>): readonly string[];
  /**
   * Opens the store and waits for it. What it needs for that is loaded now and not with the settings.
   * @throws UserError for a store that no waiting makes usable
   */
  open(settings: Values<Table>, context: StoreContext): Promise<OpenedStore>;
}

/** A kind of store of which only what is special must be said: it has no settings that contradict each other. */
export const storeKind = <Name extends string, Table extends SettingsTable>(
  special: Omit<StoreKind<Table>, "contradictions" | "name"> &
    Partial<Pick<StoreKind<Table>, "contradictions">> & { readonly name: Name },
) => ({ contradictions: () => [], ...special });
