/** The parameters of a message. `reason` accepts any thrown value and shows its message. */
export type Parameters<Name extends string> = {
  readonly [N in Name]: N extends "reason" ? unknown : string | number;
};

/** A message template: the texts between its parameters. */
export interface Template<Name extends string = string> {
  readonly texts: readonly string[];
  readonly names: readonly Name[];
}

/** An error that ends a program. */
export interface Failure<Name extends string = string> {
  readonly exitCode: number;
  /** The command line itself was invalid: the program prints the usage as well. */
  readonly usage: boolean;
  readonly message: Template<Name>;
}

/** An error response of an HTTP server. */
export interface Reply<Name extends string = string> {
  readonly status: number;
  /** The operation that failed; undefined if the caller passes it. */
  readonly title: string | undefined;
  readonly message: Template<Name>;
}

/** An error that ends a gRPC call. */
export interface Ending<Name extends string = string> {
  readonly code:
    | "invalidArgument"
    | "deadlineExceeded"
    | "notFound"
    | "resourceExhausted"
    | "unimplemented"
    | "internal"
    | "unavailable"
    | "unauthenticated";
  readonly message: Template<Name>;
}

type Tag<Entry extends Record<"message", Template>> = <Name extends string = never>(
  texts: TemplateStringsArray,
  ...names: Name[]
) => Omit<Entry, "message"> & { readonly message: Template<Name> };

/**
 * A message as a template literal whose values are parameter names; a line break with its indentation becomes one
 * space.
 */
export function template<Name extends string = never>(texts: TemplateStringsArray, ...names: Name[]): Template<Name> {
  return { texts: texts.map((text) => text.replace(/\n +/g, " ")), names };
}

/** Any error that ends a program, except an invalid command line. */
export const failure: Tag<Failure> = (texts, ...names) => ({
  exitCode: 1,
  usage: false,
  message: template(texts, ...names),
});

/** An invalid command line. */
export const misuse: Tag<Failure> = (texts, ...names) => ({
  exitCode: 1,
  usage: true,
  message: template(texts, ...names),
});

/** An error response with this status, and with a fixed title or one that the caller passes. */
export function reply(status: number): Tag<Reply & { readonly title: undefined }>;
export function reply(status: number, title: string): Tag<Reply & { readonly title: string }>;
export function reply(status: number, title?: string): Tag<Reply> {
  return (texts, ...names) => ({ status, title, message: template(texts, ...names) });
}

/** An error that ends a gRPC call with this status. */
export const ending =
  (code: Ending["code"]): Tag<Ending> =>
  (texts, ...names) => ({ code, message: template(texts, ...names) });

/** The message of any thrown value, without a stack. */
export function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // Node's connection failures to several addresses come as an AggregateError with an empty message.
  if (error.message === "" && error instanceof AggregateError) return error.errors.map(messageOf).join("; ");
  return error.message;
}

/** The message with its parameters filled in. */
export function filled({ texts, names }: Template, parameters: Readonly<Record<string, unknown>>): string {
  const values = names.map((name) => messageOf(parameters[name]));
  return texts.map((text, index) => `${text}${values[index] ?? ""}`).join("");
}
