import { type EndingId, endings, type Given, type ParametersOf } from "../lib/errors/catalogue.js";
import { filled } from "../lib/errors/entry.js";

/** The status codes of gRPC that we have a use for. */
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

/** By what a call ends that is not served any longer; `details` are for the client to read. */
export interface CallError {
  readonly code: Status;
  readonly details: string;
}

/** The error of the catalogue that has this id. */
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
