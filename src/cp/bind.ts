import type { UserError } from "../lib/errors.js";
import { type Binding, bindError } from "../net/listen.js";

/** The user's error for a gRPC port that could not be bound: grpc-js gives the reason only as text. */
export function bindErrorOf(binding: Binding, error: unknown): UserError {
  const code = /\bE[A-Z]{5,}\b/.exec(error instanceof Error ? error.message : "")?.[0];
  return bindError(binding, code === undefined ? error : Object.assign(new Error(code), { code }));
}
