import { X509Certificate } from "node:crypto";
import { messageOf } from "../lib/errors.js";
import type { Logger } from "../lib/logger.js";
import { type KeyPair, type PairFile, readKeyPair } from "./key-pair-files.js";

/** The pair of a TLS server, and the server that presents it. */
export interface FollowedKeyPair {
  readonly certFile: PairFile;
  readonly keyFile: PairFile;
  /** What the server presents already. */
  readonly initial: KeyPair;
  /** Called with each new pair; whatever it throws counts as a problem of the new pair. */
  readonly present: (pair: KeyPair) => void;
  readonly logger: Logger;
  /** Default: 3 seconds. */
  readonly intervalMs?: number;
}

/**
 * Presents the pair in the files again whenever it changes, until the signal aborts. The files are read on a timer:
 * kubelet replaces a link beside them, other programs write them in place, and neither shows in a watch of the file. A
 * pair that can't be used leaves the server with the previous one and is logged once.
 */
export function followKeyPair(followed: FollowedKeyPair, signal: AbortSignal): void {
  const { certFile, keyFile, present, logger, intervalMs = 3_000 } = followed;
  let current = followed.initial;
  let seen: string | undefined;
  let reported: string | undefined;
  let timer: NodeJS.Timeout | undefined;

  function report(reason: string): void {
    reported = reason;
    logger.error("the certificate files can't be used, so the previous certificate stays", { reason });
  }

  async function check(): Promise<void> {
    try {
      const pair = await readKeyPair(certFile, keyFile);
      if (signal.aborted) return;
      if (pair.cert !== current.cert || pair.key !== current.key) {
        present(pair);
        current = pair;
        const { validTo } = new X509Certificate(pair.cert);
        logger.info("presenting a new certificate", { file: certFile.path, validTo });
      } else if (reported !== undefined) {
        logger.info("the certificate files are usable again", { file: certFile.path });
      }
      seen = reported = undefined;
    } catch (error) {
      const reason = messageOf(error);
      // Two files can't be replaced at once, so half of a new pair may be all that one look finds.
      if (reason === seen && reason !== reported) report(reason);
      seen = reason;
    }
  }

  function next(): void {
    if (signal.aborted) return;
    timer = setTimeout(() => void check().then(next), intervalMs);
    timer.unref();
  }
  signal.addEventListener("abort", () => clearTimeout(timer), { once: true });
  next();
}
