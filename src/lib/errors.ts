/** One thing that is wrong with an input: where (`networking.inbound[0].tags["service"]`) and what. */
export interface Cause {
  readonly field: string;
  readonly message: string;
}

interface Details {
  readonly causes?: readonly Cause[];
  /** The lower-level error, for the log. */
  readonly cause?: unknown;
  /** The command line itself was wrong: the program shows the usage as well. */
  readonly usage?: boolean;
}

/**
 * An error meant for the user: shown as its message, never with a stack. Whatever else is thrown is a bug.
 * `id` is stable and dotted (`settings.invalid`); tests and callers compare it, never the wording.
 */
export class UserError extends Error {
  readonly id: string;
  readonly causes: readonly Cause[];
  readonly usage: boolean;

  constructor(id: string, message: string, details: Details = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = "UserError";
    this.id = id;
    this.causes = details.causes ?? [];
    this.usage = details.usage ?? false;
  }
}

/** What to print of anything that was thrown, in one line and without a stack. */
export function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // Node's connection failures to several addresses come as an AggregateError with an empty message.
  if (error.message === "" && error instanceof AggregateError) return error.errors.map(messageOf).join("; ");
  return error.message;
}
