export interface InstanceObserver {
  /**
   * These instances timed out without closing what they had open. Also called once after the start, with none if none
   * are dead, to clean up after instances that are not recorded any more.
   */
  died(instances: readonly string[]): void;
  /** The other instances considered this one dead for a while, and closed what it had open. */
  returned(): void;
}

/** The control plane instances that share a store. Each has an id, which is new at each start of the process. */
export interface Instances {
  readonly own: string;
  /** The live instances according to the store, including this one; queries the store each time. */
  running(): Promise<ReadonlySet<string>>;
  /** Removes dead instances from the store, once everything they left open is closed. */
  forget(instances: readonly string[]): Promise<void>;
  observe(observer: InstanceObserver): void;
}

/** For a store that lives in the process and has no other users. */
export function aloneOnStore(own: string): Instances {
  return {
    own,
    running: async () => new Set([own]),
    forget: async () => {},
    observe: () => {},
  };
}
