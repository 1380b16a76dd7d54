export interface InstanceObserver {
  /**
   * These went without a word: what they left open is nobody's any more. Called once after the start, too, when there
   * are none, for what was left by instances that nobody remembers.
   */
  died(instances: readonly string[]): void;
  /** The others took this one for dead for a while, and closed what it had open. */
  returned(): void;
}

/** The control planes that share a store. Each has an id, chosen anew whenever its process starts. */
export interface Instances {
  readonly own: string;
  /** Those that run as far as the store can tell, this one included; it is asked anew. */
  running(): Promise<ReadonlySet<string>>;
  /** Forgets instances that died, once what they left is in order. */
  bury(instances: readonly string[]): Promise<void>;
  observe(observer: InstanceObserver): void;
}

/** The only user of a store that is part of its process. */
export function aloneOnStore(own: string): Instances {
  return {
    own,
    running: async () => new Set([own]),
    bury: async () => {},
    observe: () => {},
  };
}
