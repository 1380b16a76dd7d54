/** A started program that can be stopped. */
interface Stoppable {
  close(): Promise<void>;
}

/** By default, a graceful shutdown is cut off after this time, in milliseconds. */
const usualStopMs = 1900;

/**
 * Resolves with 0 after a graceful shutdown by SIGINT or SIGTERM. Only a second signal ends the process at once, with
 * 1: a shutdown that hangs ends with 0 after its timeout.
 */
export function stopOnSignal(
  running: Stoppable,
  stopping: (signal: string) => void,
  stopMs = usualStopMs,
): Promise<number> {
  return new Promise((resolve, reject) => {
    let stops = 0;
    const stop = (signal: string) => {
      stops += 1;
      if (stops > 1) process.exit(1);
      stopping(signal);
      setTimeout(() => process.exit(0), stopMs).unref();
      running.close().then(() => resolve(0), reject);
    };
    for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, stop);
  });
}

/**
 * During startup, the first SIGINT or SIGTERM aborts `signal` instead of ending the process; after `release` signals
 * are no longer handled.
 */
export function abortOnSignal(): { readonly signal: AbortSignal; release(): void } {
  const controller = new AbortController();
  const abort = () => controller.abort();
  const names = ["SIGINT", "SIGTERM"] as const;
  for (const name of names) process.once(name, abort);
  return {
    signal: controller.signal,
    release() {
      for (const name of names) process.removeListener(name, abort);
    },
  };
}
