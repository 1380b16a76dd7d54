/** A mistake of whoever starts a benchmark or a soak: shown as its message, without a stack. */
export class UsageError extends Error {}
