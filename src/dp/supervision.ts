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
  /** Envoy serves; the one before it may still have connections. */
  | { readonly name: "running" }
  /** Its successor was started, and gets its configuration and its listeners while Envoy goes on serving. */
  | { readonly name: "handing-over" }
  /** The first signal came: Envoy was told to drain, still carries its connections, and we wait for the last to close. */
  | { readonly name: "draining" }
  /** SIGTERM was sent; Envoy gets a margin to go by itself. */
  | { readonly name: "terminating" }
  /** SIGKILL was sent; `hurried` when a second signal asked for it, which is not a clean end. */
  | { readonly name: "killing"; readonly hurried: boolean }
  /** Envoy is gone. Nothing happens any more. */
  | { readonly name: "ended"; readonly outcome: Outcome };

export type Outcome =
  /** Envoy ended well by itself, or was stopped as asked. */
  | { readonly kind: "stopped" }
  /** Envoy failed: `reason` says with which status or signal. */
  | { readonly kind: "failed"; readonly reason: string }
  /** A second signal cut the stop short. */
  | { readonly kind: "hurried" };

export type Event =
  | { readonly kind: "signal" }
  /** A successor was started. */
  | { readonly kind: "successor-started" }
  /** The successor serves, and is the Envoy that all else is about from now on. */
  | { readonly kind: "successor-serves" }
  | { readonly kind: "successor-gone" }
  /** No connection is left, or Envoy cannot be asked to drain. */
  | { readonly kind: "drained" }
  /** The timer of the present state ran out. */
  | { readonly kind: "time-over" }
  | { readonly kind: "exited"; readonly code: number | null; readonly signal: string | null };

/** What the driver must do upon entering the next state. */
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
    // Once a stop was asked for, the way in which Envoy went is not an error any more.
    case "draining":
    case "terminating":
      return ended({ kind: "stopped" });
    case "ended":
      return stay(state);
  }
}

/** The next state and what to do about it; events that mean nothing in a state leave it as it is. */
export function step(state: State, event: Event): Step {
  if (event.kind === "exited") return exited(state, event.code, event.signal);
  switch (state.name) {
    case "running":
      if (event.kind === "successor-started") return stay({ name: "handing-over" });
      return event.kind === "signal" ? { state: { name: "draining" }, action: "drain" } : stay(state);
    case "handing-over":
      // It can't be asked to drain: its admin interface is closed, and the successor's may not be there yet.
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
