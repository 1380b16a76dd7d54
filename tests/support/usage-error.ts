/** A mistake of the person who starts a benchmark or a soak: printed without a stack. */
export class UsageError extends Error {}
