import path from "node:path";
import { readToken } from "../identity/token-file.js";
import { UserError } from "../lib/errors.js";
import type { Logger } from "../lib/logger.js";
import { type ConfigDir, files } from "./config-dir.js";
import type { Settings } from "./settings.js";
import { followToken, usableToken } from "./token.js";

/** Shows the user a sentence, whatever the log level is. */
type Notice = (sentence: string) => void;

const tokenStays = "Envoy goes on with the token that it has";

/** The token that is given; undefined when none is. Throws UserError when it can't be that of this dataplane. */
export const givenToken = ({ tokenFile, name, mesh }: Settings): string | undefined =>
  tokenFile === undefined ? undefined : usableToken(tokenFile, { name, mesh }, new Date());

/** The token of a run that goes on: where the given one is no good, what the run had until now. */
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

/** Keeps Envoy's copy of the token equal to the given one until the signal aborts. */
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
    troubled: (reason: string) => machine.notice(`the dataplane token was not renewed: ${reason}. ${tokenStays}`),
    replaced: () => logger.info("dataplane token replaced", { source }),
    unwatched: (error: unknown) => logger.error("a changed token is noticed once a minute only", { source, error }),
  };
  followToken(copy, signal);
}
