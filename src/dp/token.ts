import { readFileSync, watch } from "node:fs";
import path from "node:path";
import { longestToken } from "../identity/token-limit.js";
import { messageOf, UserError } from "../lib/errors.js";

/**
 * Reads the dataplane token. White space around it is dropped: a line break within gRPC metadata makes every call fail.
 * Throws UserError("token.unreadable" | "token.empty" | "token.too-long") naming the file.
 */
export function readToken(file: string): string {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    throw new UserError("token.unreadable", `could not read file ${file}: ${messageOf(error)}`, { cause: error });
  }
  const token = text.trim();
  if (token === "") throw new UserError("token.empty", `token under file ${file} is empty`);
  if (token.length > longestToken) {
    throw new UserError("token.too-long", `file ${file} is no token: it is longer than ${longestToken} characters`);
  }
  return token;
}

export interface TokenCopy {
  readonly source: string;
  /** The token that was read at start. */
  readonly initial: string;
  readonly write: (token: string) => void;
  readonly failed: (error: unknown) => void;
  readonly replaced: () => void;
}

const recheckMs = 60_000;

/**
 * Keeps a copy equal to its source until the signal aborts. The directory is watched, not the file, because Kubernetes
 * swaps a link beside it; the clock covers file systems that tell nothing. A source that cannot be used leaves the copy as it is.
 */
export function followToken(copy: TokenCopy, signal: AbortSignal): void {
  let current = copy.initial;
  const check = () => {
    try {
      const token = readToken(copy.source);
      if (token === current) return;
      copy.write(token);
      current = token;
      copy.replaced();
    } catch (error) {
      copy.failed(error);
    }
  };
  copy.write(current);
  const timer = setInterval(check, recheckMs);
  signal.addEventListener("abort", () => clearInterval(timer), { once: true });
  try {
    watch(path.dirname(copy.source), { signal, persistent: false }, check).on("error", copy.failed);
  } catch (error) {
    copy.failed(error);
  }
}
