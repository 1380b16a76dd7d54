import { type EndingId, endings, type Given, type ParametersOf } from "../lib/errors/catalogue.js";
import { filled } from "../lib/errors/entry.js";

/** The gRPC status codes that we use. */
export const status = {
  ok: 0,
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  resourceExhausted: 8,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  unauthenticated: 16,
} as const;
export type Status = (typeof status)[keyof typeof status];

/** The status that ends a call; `details` is sent to the client. */
export interface CallError {
  readonly code: Status;
  readonly details: string;
}

/** The catalogue's error with this id. */
export function callError<Id extends EndingId>(
  id: Id,
  ...rest: Given<ParametersOf<(typeof endings)[Id]["message"]>>
): CallError {
  const [parameters = {}] = rest;
  const { code, message } = endings[id];
  return { code: status[code], details: filled(message, { ...parameters }) };
}

/** The same error, with the name of the limit that was exceeded. */
export const ofLimit = (limit: string, { code, details }: CallError): CallError => ({
  code,
  details: `${details} (limit ${limit})`,
});
