/** What a message is filled in with. `reason` takes whatever was thrown below: its message is shown. */
export type Parameters<Name extends string> = {
  readonly [N in Name]: N extends "reason" ? unknown : string | number;
};

/** A message between its parameters. */
export interface Template<Name extends string = string> {
  readonly texts: readonly string[];
  readonly names: readonly Name[];
}

/** An error by which a program ends. */
export interface Failure<Name extends string = string> {
  readonly exitCode: number;
  /** The command line itself was wrong: the program shows the usage as well. */
  readonly usage: boolean;
  readonly message: Template<Name>;
}

/** An error that an HTTP server answers. */
export interface Reply<Name extends string = string> {
  readonly status: number;
  /** What could not be done; a parameter where several things can't. */
  readonly title: string | undefined;
  readonly message: Template<Name>;
}

/** An error by which a gRPC call ends. */
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

/** A message as a template literal whose values are the names of parameters; a line break and its indentation are one space. */
export function template<Name extends string = never>(texts: TemplateStringsArray, ...names: Name[]): Template<Name> {
  return { texts: texts.map((text) => text.replace(/\n +/g, " ")), names };
}

/** Anything that ends a program but a wrong command line. */
export const failure: Tag<Failure> = (texts, ...names) => ({
  exitCode: 1,
  usage: false,
  message: template(texts, ...names),
});

/** A wrong command line. */
export const misuse: Tag<Failure> = (texts, ...names) => ({
  exitCode: 1,
  usage: true,
  message: template(texts, ...names),
});

/** An error reply with this status, and with a title that is always the same or comes as a parameter. */
export function reply(status: number): Tag<Reply & { readonly title: undefined }>;
export function reply(status: number, title: string): Tag<Reply & { readonly title: string }>;
export function reply(status: number, title?: string): Tag<Reply> {
  return (texts, ...names) => ({ status, title, message: template(texts, ...names) });
}

/** The end of a gRPC call with this status. */
export const ending =
  (code: Ending["code"]): Tag<Ending> =>
  (texts, ...names) => ({ code, message: template(texts, ...names) });

/** What to print of anything that was thrown, in one line and without a stack. */
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
