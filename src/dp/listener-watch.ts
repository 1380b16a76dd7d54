import { backoff, sleep } from "../lib/deadline.js";
import type { EnvoyAdmin } from "./envoy-admin.js";
import type { ListenerVerdict } from "./status-client.js";

export interface ListenerWatchOptions {
  /** The admin interface of the Envoy that serves; undefined when there is none to query. */
  readonly admin: () => Pick<EnvoyAdmin, "listenerFailures" | "listeners"> | undefined;
  /** Resolves with undefined when the control plane does not accept reports. Rejects when it can't be reached. */
  readonly report: (listeners: readonly string[]) => Promise<ListenerVerdict | undefined>;
  /** Milliseconds between two reads of Envoy's counter. */
  readonly interval: number;
  /** Milliseconds between two reports when nothing is wrong, once Envoy has failed to create a listener. */
  readonly reassure: number;
  /** Called once for listeners that Envoy lost, with their names. */
  readonly lost: (listeners: readonly string[]) => void;
  readonly recovered: () => void;
  /** Called once when the control plane does not accept reports. */
  readonly unsupported: () => void;
  readonly failed: (error: unknown) => void;
  readonly signal: AbortSignal;
  readonly now?: () => number;
  readonly random?: () => number;
}

/** The longest pause between two reports while listeners are missing or the verdict is open. */
const longestPauseMs = 60_000;

/**
 * Watches for listeners that Envoy failed to create, because Envoy only logs that it could not bind an address. It
 * reports the listeners that Envoy has to the control plane, which knows the acknowledged ones. An Envoy without
 * failures costs one cheap request per interval. An Envoy with failures is reported again every `reassure`, because
 * after a reconnection it claims to have the listeners that it lost, possibly to another control plane instance.
 * Resolves when the signal aborts.
 */
export async function watchListeners(options: ListenerWatchOptions): Promise<void> {
  const { admin, report, interval, signal, now = () => performance.now(), random = Math.random } = options;
  // Reports with missing listeners are repeated at least as often as those without.
  const max = Math.max(interval, Math.min(options.reassure, longestPauseMs));
  const pauses = backoff({ first: interval, max, random });
  let known = 0;
  let due = 0;
  let reported = "";
  let saidUnsupported = false;

  function applyVerdict(verdict: ListenerVerdict | undefined): void {
    if (verdict === undefined) {
      // No reports until the next failure; the control plane may have been upgraded by then.
      due = Number.POSITIVE_INFINITY;
      if (!saidUnsupported) options.unsupported();
      saidUnsupported = true;
      return;
    }
    const { connected, missing, pending } = verdict;
    if (!connected) return;
    const names = missing.join("\n");
    if (names !== reported) {
      reported = names;
      if (missing.length > 0) options.lost(missing);
      else options.recovered();
    }
    if (missing.length > 0 || pending) return;
    pauses.reset();
    due = now() + options.reassure;
  }

  async function check(): Promise<void> {
    const envoy = admin();
    if (envoy === undefined) return;
    const failures = await envoy.listenerFailures();
    if (failures !== known) {
      known = failures;
      due = 0;
      pauses.reset();
    }
    if (failures === 0 || now() < due) return;
    due = now() + pauses.next();
    applyVerdict(await report(await envoy.listeners()));
  }

  for (;;) {
    // Jitter, so that sidecars started together don't report together.
    await sleep(interval * (0.75 + random() / 2), signal).catch(() => undefined);
    if (signal.aborted) return;
    try {
      await check();
    } catch (error) {
      if (signal.aborted) return;
      options.failed(error);
    }
  }
}
