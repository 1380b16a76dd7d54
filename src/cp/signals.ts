/** What follows a started control plane until it is told to stop. */
interface Stoppable {
  close(): Promise<void>;
}

/** An orderly stop that takes longer than this is cut short. */
const stopMs = 1900;

/**
 * Resolves with 0 once SIGINT or SIGTERM has stopped it in order. A second signal ends the process at
 * once with 1, and so does nothing else: a stop that hangs ends with 0 after its time.
 */
export function stopOnSignal(running: Stoppable, stopping: (signal: string) => void): Promise<number> {
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
 * While something starts, the first SIGINT or SIGTERM aborts `signal` instead of ending the process; after `release` it
 * is no longer looked at.
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
