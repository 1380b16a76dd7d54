/**
 * The life of one Envoy, and of those that take over from it, under kuma-dp: a state machine without clocks or
 * processes, which `supervisor.ts` drives.
 *
 *   running <──successor serves, or is gone── handing-over <──successor started── running
 *                                                  │ signal: terminating
 *   running ──signal──> draining ──no connections left, or drain time over──> terminating ──margin over──> killing
 *      │                   │ second signal: killing                              │ second signal: killing      │
 *      └─────────────── Envoy exits ──────────────┴──────────────────────────────┴────────────────────────────┘──> ended
 */
export type State =
  /** Envoy serves; its predecessor may still have connections. */
  | { readonly name: "running" }
  /** A successor was started and receives its configuration and listeners, while Envoy keeps serving. */
  | { readonly name: "handing-over" }
  /** The first signal arrived: Envoy drains and still carries its connections; we wait for the last one to close. */
  | { readonly name: "draining" }
  /** SIGTERM was sent; Envoy has a margin to exit by itself. */
  | { readonly name: "terminating" }
  /** SIGKILL was sent. `hurried` when a second signal requested it, which is not a clean end. */
  | { readonly name: "killing"; readonly hurried: boolean }
  /** Envoy is gone. Final. */
  | { readonly name: "ended"; readonly outcome: Outcome };

export type Outcome =
  /** Envoy exited successfully, or was stopped as requested. */
  | { readonly kind: "stopped" }
  /** Envoy failed: `reason` has its exit status or signal. */
  | { readonly kind: "failed"; readonly reason: string }
  /** A second signal cut the stop short. */
  | { readonly kind: "hurried" };

export type Event =
  | { readonly kind: "signal" }
  | { readonly kind: "successor-started" }
  /** The successor serves and is the supervised Envoy from now on. */
  | { readonly kind: "successor-serves" }
  | { readonly kind: "successor-gone" }
  /** No connections are left, or Envoy cannot be drained. */
  | { readonly kind: "drained" }
  /** The timer of the current state expired. */
  | { readonly kind: "time-over" }
  | { readonly kind: "exited"; readonly code: number | null; readonly signal: string | null };

/** What the driver must do when it enters the next state. */
export type Action = "drain" | "terminate" | "kill" | "none";

export interface Step {
  readonly state: State;
  readonly action: Action;
}

const stay = (state: State): Step => ({ state, action: "none" });
const terminate: Step = { state: { name: "terminating" }, action: "terminate" };

function kill(hurried: boolean): Step {
  return { state: { name: "killing", hurried }, action: "kill" };
}

function exited(state: State, code: number | null, signal: string | null): Step {
  const ended = (outcome: Outcome): Step => ({ state: { name: "ended", outcome }, action: "none" });
  switch (state.name) {
    case "running":
    case "handing-over":
      if (code === 0) return ended({ kind: "stopped" });
      return ended({ kind: "failed", reason: signal === null ? `exit status ${code}` : `killed by ${signal}` });
    case "killing":
      return ended({ kind: state.hurried ? "hurried" : "stopped" });
    // Once a stop was requested, Envoy's exit status is no longer an error.
    case "draining":
    case "terminating":
      return ended({ kind: "stopped" });
    case "ended":
      return stay(state);
  }
}

/** The next state and action. Events without a meaning in a state leave it unchanged. */
export function step(state: State, event: Event): Step {
  if (event.kind === "exited") return exited(state, event.code, event.signal);
  switch (state.name) {
    case "running":
      if (event.kind === "successor-started") return stay({ name: "handing-over" });
      return event.kind === "signal" ? { state: { name: "draining" }, action: "drain" } : stay(state);
    case "handing-over":
      // Envoy can't drain here: its admin interface is closed, and the successor's may not be available yet.
      if (event.kind === "signal") return terminate;
      return event.kind === "successor-started" ? stay(state) : stay({ name: "running" });
    case "draining":
      if (event.kind === "signal") return kill(true);
      return event.kind === "drained" || event.kind === "time-over" ? terminate : stay(state);
    case "terminating":
      if (event.kind === "signal") return kill(true);
      return event.kind === "time-over" ? kill(false) : stay(state);
    case "killing":
      return event.kind === "signal" ? stay({ name: "killing", hurried: true }) : stay(state);
    case "ended":
      return stay(state);
  }
}
