import { sleep } from "../lib/deadline.js";
import { messageOf, UserError } from "../lib/errors.js";
import type { Logger } from "../lib/logger.js";
import { hasNativeSidecars, type ServerVersion } from "./server-version.js";

/** Whether sidecars are native ones at present. */
export interface SidecarForm {
  native(): boolean;
}

interface Options {
  readonly wanted: "auto" | boolean;
  /** Asks the API server. Rejects with the reason if it has no answer. */
  readonly ask: (signal: AbortSignal) => Promise<ServerVersion>;
  readonly logger: Logger;
  /** Ends the attempts to reach the API server. */
  readonly signal: AbortSignal;
  /** Pauses in milliseconds: between the first attempts, and between later ones. */
  readonly pauses?: { readonly first: number; readonly later: number };
}

const attempts = 3;
const attemptMs = 3_000;
const usualPauses = { first: 1_000, later: 60_000 };

const unsupported = ({ text }: ServerVersion) => UserError.of("native-sidecar.unsupported", { version: text });

/**
 * Chooses the form by the version of the API server, which is asked once. While it does not answer, `auto` means the
 * classic form, which every version runs, and `true` is believed.
 * @throws UserError `native-sidecar.unsupported` if native sidecars are wanted and the API server is too old
 */
export async function chooseSidecarForm(options: Options): Promise<SidecarForm> {
  const { wanted, ask, logger, signal, pauses = usualPauses } = options;
  if (wanted === false) return { native: () => false };
  let native: boolean = wanted === true;

  async function attempt(): Promise<ServerVersion | string> {
    try {
      return await ask(AbortSignal.any([signal, AbortSignal.timeout(attemptMs)]));
    } catch (error) {
      return messageOf(error);
    }
  }

  function choose(version: ServerVersion): void {
    native = hasNativeSidecars(version);
    logger.info(native ? "sidecars are native" : "sidecars are ordinary containers", { apiServer: version.text });
  }

  async function keepAsking(): Promise<void> {
    for (;;) {
      await sleep(pauses.later, signal);
      const version = await attempt();
      if (typeof version === "string") continue;
      if (wanted === true && !hasNativeSidecars(version)) logger.error(unsupported(version).message);
      choose(version);
      return;
    }
  }

  let answer: ServerVersion | string = "";
  for (let number = 1; number <= attempts; number += 1) {
    answer = await attempt();
    if (typeof answer !== "string" || signal.aborted) break;
    if (number < attempts) await sleep(pauses.first, signal).catch(() => undefined);
  }
  if (typeof answer === "string") {
    const meanwhile = native ? "native sidecars, as the setting says" : "ordinary containers";
    logger.warn(`the API server's version is unknown; sidecars are ${meanwhile}`, { reason: answer });
    // Ends by the signal only.
    keepAsking().catch((error: unknown) => {
      if (!signal.aborted) logger.error("the API server's version stays unknown", { error });
    });
  } else {
    if (wanted === true && !hasNativeSidecars(answer)) throw unsupported(answer);
    choose(answer);
  }
  return { native: () => native };
}
