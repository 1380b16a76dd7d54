import type { EnvoyAdmin } from "./envoy-admin.js";
import { type Event, type Outcome, type State, step } from "./supervision.js";

/** A started Envoy, as far as supervision needs one. */
export interface Child {
  kill(signal: "SIGTERM" | "SIGKILL"): void;
  /** Settles once, when the process is gone. */
  readonly exit: Promise<{ code: number | null; signal: string | null }>;
}

export interface Supervised {
  readonly child: Child;
  /** Undefined where Envoy's admin interface is not known: a stop then does not drain. */
  readonly admin: Pick<EnvoyAdmin, "drain" | "connections"> | undefined;
  /** Longest wait for connections to end, in milliseconds. */
  readonly drainTime: number;
  /** How long Envoy may take from SIGTERM to its end, in milliseconds. */
  readonly margin: number;
  /** Pause between two looks at the open connections, in milliseconds. */
  readonly poll: number;
  /** Told of every new state, and of a drain that could not be done. */
  readonly entered: (state: State) => void;
  readonly undrained: (error: unknown) => void;
}

export interface Supervisor {
  /** A signal to stop: the first drains, the second kills. */
  signal(): void;
  readonly state: () => State;
  readonly outcome: Promise<Outcome>;
}

/** Runs the state machine of supervision.ts over a real (or a test's) Envoy. */
export function supervise(envoy: Supervised): Supervisor {
  let state: State = { name: "running" };
  let timer: NodeJS.Timeout | undefined;
  let pollTimer: NodeJS.Timeout | undefined;
  const { promise: outcome, resolve } = Promise.withResolvers<Outcome>();

  const arm = (ms: number) => {
    clearTimeout(timer);
    timer = setTimeout(() => handle({ kind: "time-over" }), ms);
  };

  const look = async (admin: Pick<EnvoyAdmin, "connections">) => {
    if ((await admin.connections()) === 0) handle({ kind: "drained" });
    else if (state.name === "draining") pollTimer = setTimeout(() => watchConnections(admin), envoy.poll);
  };
  const giveUpDraining = (error: unknown) => {
    if (state.name !== "draining") return;
    envoy.undrained(error);
    handle({ kind: "drained" });
  };
  const watchConnections = (admin: Pick<EnvoyAdmin, "connections">) => {
    look(admin).catch(giveUpDraining);
  };
  const drain = async () => {
    arm(envoy.drainTime);
    if (envoy.admin === undefined) throw new Error("Envoy has no admin interface that kuma-dp knows of");
    await envoy.admin.drain();
    if (state.name === "draining") watchConnections(envoy.admin);
  };

  function handle(event: Event): void {
    const next = step(state, event);
    if (next.state === state) return;
    state = next.state;
    clearTimeout(pollTimer);
    switch (next.action) {
      case "drain":
        drain().catch(giveUpDraining);
        break;
      case "terminate":
        envoy.child.kill("SIGTERM");
        arm(envoy.margin);
        break;
      case "kill":
        clearTimeout(timer);
        envoy.child.kill("SIGKILL");
        break;
      case "none":
        break;
    }
    envoy.entered(state);
    if (state.name !== "ended") return;
    clearTimeout(timer);
    resolve(state.outcome);
  }

  envoy.child.exit.then(({ code, signal }) => handle({ kind: "exited", code, signal }));
  return { signal: () => handle({ kind: "signal" }), state: () => state, outcome };
}
