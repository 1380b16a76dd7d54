import { watch } from "node:fs";
import path from "node:path";
import { readToken } from "../identity/token-file.js";

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
