/**
 * Which of the control planes that share a store does the work for which one is enough. It saves work and guarantees
 * nothing: for a moment there may be two leaders or none, and what a leader does has to be safe when two do it.
 */
export interface Leadership {
  /** Whether this control plane leads at present. Throws what the store throws while it can't be asked. */
  leads(): Promise<boolean>;
}

/** Of the only user of a store. */
export const alwaysLeads: Leadership = { leads: async () => true };
