/**
 * Chooses one of the control planes that share a store for work that only one needs to do. This saves work and
 * guarantees nothing: for a moment there may be two leaders or none, so a leader's work must be safe when two do it.
 */
export interface Leadership {
  /** Whether this control plane is the leader now. Throws the store's error while the store is unavailable. */
  leads(): Promise<boolean>;
}

/** For a store with a single control plane. */
export const alwaysLeads: Leadership = { leads: async () => true };
