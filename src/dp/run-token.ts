import path from "node:path";
import { readToken } from "../identity/token-file.js";
import { UserError } from "../lib/errors.js";
import type { Logger } from "../lib/logger.js";
import { type ConfigDir, files } from "./config-dir.js";
import type { Settings } from "./settings.js";
import { followToken, usableToken } from "./token.js";

/** Shows a sentence to the user regardless of the log level. */
type Notice = (sentence: string) => void;

const tokenStays = "Envoy keeps its current token";

/** The configured token; undefined when none is configured. Throws UserError when it is not valid for this dataplane. */
export const givenToken = ({ tokenFile, name, mesh }: Settings): string | undefined =>
  tokenFile === undefined ? undefined : usableToken(tokenFile, { name, mesh }, new Date());

/** The token of a run that continues: when the configured token is not usable, the one that the run has had so far. */
export function presentToken(settings: Settings, configDir: ConfigDir, notice: Notice): string | undefined {
  try {
    return givenToken(settings);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    notice(`${error.message}. ${tokenStays}`);
  }
  try {
    return readToken(path.join(configDir.path, files.token));
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return undefined;
  }
}

interface Context {
  readonly settings: Settings;
  readonly machine: { readonly notice: Notice };
  readonly logger: Logger;
}

/** Keeps Envoy's copy of the token in sync with the configured one until the signal aborts. */
export function keepToken(
  { settings, machine, logger }: Context,
  token: string,
  configDir: ConfigDir,
  signal: AbortSignal,
): void {
  const { tokenFile: source, name, mesh } = settings;
  if (source === undefined) return;
  const copy = {
    source,
    owner: { name, mesh },
    initial: token,
    write: (fresh: string) => configDir.write(files.token, fresh),
    onProblem: (reason: string) => machine.notice(`the dataplane token was not renewed: ${reason}. ${tokenStays}`),
    replaced: () => logger.info("dataplane token replaced", { source }),
    watchFailed: (error: unknown) =>
      logger.error("the token file can't be watched; it is read once a minute", { source, error }),
  };
  followToken(copy, signal);
}
