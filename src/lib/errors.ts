import { type FailureId, failures, type Given, type ParametersOf } from "./errors/catalogue.js";
import { contexts } from "./errors/contexts.js";
import { filled } from "./errors/entry.js";

export { messageOf } from "./errors/entry.js";

/** One problem of an input: where (`networking.inbound[0].tags["service"]`) and what. */
export interface Cause {
  readonly field: string;
  readonly message: string;
}

interface Details {
  readonly causes?: readonly Cause[];
  /** The underlying error, for the log; the parameter `reason` if that is an error. */
  readonly cause?: unknown;
}

/** An error meant for the user, shown as its message and never with a stack. Any other exception is a bug. */
export class UserError extends Error {
  readonly id: FailureId;
  readonly causes: readonly Cause[];

  private constructor(id: FailureId, message: string, { causes = [], cause }: Details) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "UserError";
    this.id = id;
    this.causes = causes;
  }

  /** The catalogue's error with this id. */
  static of<Id extends FailureId>(
    id: Id,
    ...rest: Given<ParametersOf<(typeof failures)[Id]["message"]>, [details?: Details]>
  ): UserError {
    const [parameters = {}, details = {}] = rest;
    const cause = "reason" in parameters && parameters.reason instanceof Error ? parameters.reason : undefined;
    return new UserError(id, filled(failures[id].message, parameters), { cause, ...details });
  }

  /** The same error, with a message that adds the context. */
  within<Name extends keyof typeof contexts>(
    name: Name,
    parameters: Omit<ParametersOf<(typeof contexts)[Name]>, "reason">,
  ): UserError {
    const message = filled(contexts[name], { ...parameters, reason: this.message });
    return new UserError(this.id, message, { causes: this.causes, cause: this });
  }

  /** True if the command line itself was invalid: the program then prints the usage as well. */
  get usage(): boolean {
    return failures[this.id].usage;
  }

  get exitCode(): number {
    return failures[this.id].exitCode;
  }
}
