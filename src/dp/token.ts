import { watch } from "node:fs";
import path from "node:path";
import { tokenProblem } from "../identity/token-claims.js";
import { readToken, rereadToken } from "../identity/token-file.js";
import { messageOf, UserError } from "../lib/errors.js";

/** The dataplane that the token must belong to. */
export interface TokenOwner {
  readonly name: string;
  readonly mesh: string;
}

export interface TokenCopy {
  readonly source: string;
  readonly owner: TokenOwner;
  /** The token read at startup. */
  readonly initial: string;
  readonly write: (token: string) => void;
  /** Called once for each problem with the source, with a sentence. */
  readonly onProblem: (reason: string) => void;
  /** Called when the copy was renewed and when the source is usable again. */
  readonly replaced: () => void;
  /** Called with the reason why changes are noticed only once a minute. */
  readonly watchFailed: (error: unknown) => void;
  readonly now?: () => Date;
}

const recheckMs = 60_000;
/** Programs that rewrite a file often empty it first. */
const settleMs = 250;

const wayOut = ({ name, mesh }: TokenOwner) =>
  `make one with \`kumactl generate dataplane-token --name=${name} --mesh=${mesh}\``;

/**
 * Reads the token in a file, if it is valid for this dataplane.
 * @throws UserError what `readToken` throws, or "token.unusable", each with what is wrong and how to get another token
 */
export function usableToken(source: string, owner: TokenOwner, now: Date, read = readToken): string {
  let token: string;
  try {
    token = read(source);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    throw error.within("wayOut", { wayOut: wayOut(owner) });
  }
  const problem = tokenProblem(token, owner, now);
  if (problem === undefined) return token;
  throw UserError.of("token.unusable", { file: source, problem, wayOut: wayOut(owner) });
}

/**
 * Keeps a copy of a token in sync with its source until the signal aborts. The directory is watched instead of the
 * file, because Kubernetes replaces a link next to it. The periodic check covers file systems without notifications,
 * and tokens that expire. While the source is not usable, the copy stays as it is.
 */
export function followToken(copy: TokenCopy, signal: AbortSignal): void {
  const { source, owner, now = () => new Date() } = copy;
  let current = copy.initial;
  let reported: string | undefined;

  function check(): void {
    try {
      const token = usableToken(source, owner, now(), rereadToken);
      const renewed = token !== current;
      if (renewed) {
        copy.write(token);
        current = token;
      }
      if (renewed || reported !== undefined) copy.replaced();
      reported = undefined;
    } catch (error) {
      const reason = problemKey(error);
      if (reason === reported) return;
      reported = reason;
      copy.onProblem(messageOf(error));
    }
  }

  let settling: NodeJS.Timeout | undefined;
  // Not delayed by further changes: a directory may never be quiet.
  const soon = () => {
    settling ??= setTimeout(() => {
      settling = undefined;
      check();
    }, settleMs);
  };
  copy.write(current);
  const timer = setInterval(check, recheckMs);
  const stop = () => {
    clearInterval(timer);
    clearTimeout(settling);
  };
  signal.addEventListener("abort", stop, { once: true });
  try {
    watch(path.dirname(source), { signal, persistent: false }, soon).on("error", copy.watchFailed);
  } catch (error) {
    copy.watchFailed(error);
  }
}

/** Identifies a problem. The message about an expired token contains the current time, which is removed. */
const problemKey = (error: unknown): string => messageOf(error).replace(/\(the clock of this machine says [^)]*\)/, "");
