import { watch } from "node:fs";
import path from "node:path";
import { tokenProblem } from "../identity/token-claims.js";
import { readToken, rereadToken } from "../identity/token-file.js";
import { messageOf, UserError } from "../lib/errors.js";

/** Whose token it has to be. */
export interface TokenOwner {
  readonly name: string;
  readonly mesh: string;
}

export interface TokenCopy {
  readonly source: string;
  readonly owner: TokenOwner;
  /** The token that was read at start. */
  readonly initial: string;
  readonly write: (token: string) => void;
  /** Hears once of each thing that is wrong with the source, in a sentence. */
  readonly troubled: (reason: string) => void;
  /** Hears of a copy that was renewed, and of a source that is well again. */
  readonly replaced: () => void;
  /** Hears why changes are only noticed once a minute. */
  readonly unwatched: (error: unknown) => void;
  readonly now?: () => Date;
}

const recheckMs = 60_000;
/** Who writes a file anew often empties it first. */
const settleMs = 250;

const wayOut = ({ name, mesh }: TokenOwner) =>
  `make one with \`kumactl generate dataplane-token --name=${name} --mesh=${mesh}\``;

/**
 * The token in a file, if it is one for this dataplane.
 * @throws UserError what `readToken` throws, and "token.unusable", each with what is wrong and how to get another one
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
 * Keeps a copy equal to its source until the signal aborts. The directory is watched, not the file, because Kubernetes
 * swaps a link beside it; the clock covers file systems that tell nothing, and tokens that expire. A source that cannot be
 * used leaves the copy as it is.
 */
export function followToken(copy: TokenCopy, signal: AbortSignal): void {
  const { source, owner, now = () => new Date() } = copy;
  let current = copy.initial;
  let trouble: string | undefined;

  function look(): void {
    try {
      const token = usableToken(source, owner, now(), rereadToken);
      const renewed = token !== current;
      if (renewed) {
        copy.write(token);
        current = token;
      }
      if (renewed || trouble !== undefined) copy.replaced();
      trouble = undefined;
    } catch (error) {
      const reason = kindOf(error);
      if (reason === trouble) return;
      trouble = reason;
      copy.troubled(messageOf(error));
    }
  }

  let settling: NodeJS.Timeout | undefined;
  // Not put off by further changes: a directory may never be at rest.
  const soon = () => {
    settling ??= setTimeout(() => {
      settling = undefined;
      look();
    }, settleMs);
  };
  copy.write(current);
  const timer = setInterval(look, recheckMs);
  const stop = () => {
    clearInterval(timer);
    clearTimeout(settling);
  };
  signal.addEventListener("abort", stop, { once: true });
  try {
    watch(path.dirname(source), { signal, persistent: false }, soon).on("error", copy.unwatched);
  } catch (error) {
    copy.unwatched(error);
  }
}

/** What tells one trouble from another: the text of an expired token's holds the time. */
const kindOf = (error: unknown): string => messageOf(error).replace(/\(the clock of this machine says [^)]*\)/, "");
