import { backoff, sleep } from "../lib/deadline.js";
import type { EnvoyAdmin } from "./envoy-admin.js";
import type { ListenerVerdict } from "./status-client.js";

export interface ListenerWatchOptions {
  /** The admin interface of the Envoy that serves; undefined while there is none to ask. */
  readonly admin: () => Pick<EnvoyAdmin, "listenerFailures" | "listeners"> | undefined;
  /** Undefined: the control plane takes no reports. Rejects when it can't be reached. */
  readonly report: (listeners: readonly string[]) => Promise<ListenerVerdict | undefined>;
  /** Milliseconds between two looks at Envoy's counter. */
  readonly interval: number;
  /** Milliseconds between two reports when nothing is wrong, for an Envoy that could not create a listener once. */
  readonly reassure: number;
  /** Hears once of listeners that Envoy lost, by name. */
  readonly lost: (listeners: readonly string[]) => void;
  readonly recovered: () => void;
  /** Hears once that the control plane takes no reports. */
  readonly unsupported: () => void;
  readonly failed: (error: unknown) => void;
  readonly signal: AbortSignal;
  readonly now?: () => number;
  readonly random?: () => number;
}

/** The longest pause between two reports while something is wrong or open. */
const longestPauseMs = 60_000;

/**
 * Looks out for listeners that Envoy could not create and reports those that it has to the control plane, which knows
 * which ones it acknowledged: Envoy only logs that it could not listen on an address. An Envoy that never failed costs one
 * cheap question an interval. One that did is reported again every `reassure`, because after a reconnection it claims to
 * have what it lost, and the control plane may be another one by then. Resolves when the signal aborts.
 */
export async function watchListeners(options: ListenerWatchOptions): Promise<void> {
  const { admin, report, interval, signal, now = () => performance.now(), random = Math.random } = options;
  // What is wrong is reported as often, at least, as that nothing is.
  const max = Math.max(interval, Math.min(options.reassure, longestPauseMs));
  const pauses = backoff({ first: interval, max, random });
  let known = 0;
  let due = 0;
  let told = "";
  let saidUnsupported = false;

  function hear(verdict: ListenerVerdict | undefined): void {
    if (verdict === undefined) {
      // Until the next failure: the control plane may have been upgraded by then.
      due = Number.POSITIVE_INFINITY;
      if (!saidUnsupported) options.unsupported();
      saidUnsupported = true;
      return;
    }
    const { connected, missing, pending } = verdict;
    if (!connected) return;
    const names = missing.join("\n");
    if (names !== told) {
      told = names;
      if (missing.length > 0) options.lost(missing);
      else options.recovered();
    }
    if (missing.length > 0 || pending) return;
    pauses.reset();
    due = now() + options.reassure;
  }

  async function look(): Promise<void> {
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
    hear(await report(await envoy.listeners()));
  }

  for (;;) {
    // Sidecars that were started together don't report together.
    await sleep(interval * (0.75 + random() / 2), signal).catch(() => undefined);
    if (signal.aborted) return;
    try {
      await look();
    } catch (error) {
      if (signal.aborted) return;
      options.failed(error);
    }
  }
}
