/**
 * Passes the config dir of the current run to the kuma-dp that this process executes itself as. Nobody else sets it,
 * and the pid file in that directory must name this process.
 */
export const handoverVariable = "KUMA_DP_HANDOVER";

/** A signal handler, once the program has started. */
export type OnSignal = (signal: NodeJS.Signals) => void;

/** The signals that stop or reload kuma-dp. */
export const controlSignals = ["SIGTERM", "SIGINT", "SIGHUP"] as const;

/**
 * Holds signals back while the program loads. By default they would end it and leave its Envoy behind.
 * @returns a function that passes the held signals to a handler and stops holding them
 */
export function holdSignals(): (handler: OnSignal) => void {
  const held: NodeJS.Signals[] = [];
  const hold: OnSignal = (signal) => void held.push(signal);
  for (const signal of controlSignals) process.on(signal, hold);
  return (handler) => {
    for (const signal of controlSignals) process.off(signal, hold);
    for (const signal of held) handler(signal);
  };
}
