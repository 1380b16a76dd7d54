/**
 * Names, to the kuma-dp that this process executes itself as, the config dir of the run that goes on. Nobody else sets
 * it, and what it names has to say that this process runs it.
 */
export const handoverVariable = "KUMA_DP_HANDOVER";

/** What a signal does once the program is up. */
export type OnSignal = (signal: NodeJS.Signals) => void;

/** The signals that stop kuma-dp or reload it. */
export const controlSignals = ["SIGTERM", "SIGINT", "SIGHUP"] as const;

/**
 * Holds signals back while the program is loaded, which they would end otherwise, and leave its Envoy behind.
 * @returns gives the signals that came to the handler, and stops holding them
 */
export function holdSignals(): (handler: OnSignal) => void {
  const came: NodeJS.Signals[] = [];
  const hold: OnSignal = (signal) => void came.push(signal);
  for (const signal of controlSignals) process.on(signal, hold);
  return (handler) => {
    for (const signal of controlSignals) process.off(signal, hold);
    for (const signal of came) handler(signal);
  };
}
