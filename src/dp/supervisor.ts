import type { EnvoyAdmin } from "./envoy-admin.js";
import { type Event, type Outcome, type State, step } from "./supervision.js";

/** A started Envoy, as far as supervision needs one. */
export interface Child {
  readonly pid: number;
  kill(signal: "SIGTERM" | "SIGKILL" | "SIGUSR1"): void;
  /** Settles once, when the process is gone. */
  readonly exit: Promise<{ code: number | null; signal: string | null }>;
}

export interface Envoy {
  readonly child: Child;
  /** Undefined where Envoy's admin interface is not known: a stop then does not drain. */
  readonly admin: Pick<EnvoyAdmin, "drain" | "connections"> | undefined;
}

export interface Supervised extends Envoy {
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
  /**
   * Supervises a successor beside the Envoy that it takes over from. Resolves with true once it serves, and with false
   * when it or all is over before; then the first one goes on. Not to be called while `predecessor` is there.
   */
  replace(successor: Envoy, serves: () => Promise<boolean>): Promise<boolean>;
  /** The process id of the Envoy that serves. */
  readonly pid: () => number;
  /** The Envoy that was replaced last, until it is gone. */
  readonly predecessor: () => Child | undefined;
  readonly state: () => State;
  /** Settles when no Envoy is left. */
  readonly outcome: Promise<Outcome>;
}

/** Runs the state machine of supervision.ts over real (or a test's) Envoys. */
export function supervise(supervised: Supervised): Supervisor {
  const { drainTime, margin, poll } = supervised;
  let envoy: Envoy = supervised;
  let state: State = { name: "running" };
  let predecessor: Child | undefined;
  /** All that have not ended. */
  const alive = new Set<Child>();
  let timer: NodeJS.Timeout | undefined;
  let pollTimer: NodeJS.Timeout | undefined;
  const { promise: outcome, resolve } = Promise.withResolvers<Outcome>();

  const arm = (ms: number) => {
    clearTimeout(timer);
    timer = setTimeout(() => handle({ kind: "time-over" }), ms);
  };
  const killAll = (signal: "SIGTERM" | "SIGKILL") => {
    for (const child of alive) child.kill(signal);
  };

  const look = async (admin: Pick<EnvoyAdmin, "connections">) => {
    // A predecessor drains already, and ends by itself when its own time is over.
    if ((await admin.connections()) === 0 && predecessor === undefined) handle({ kind: "drained" });
    else if (state.name === "draining") pollTimer = setTimeout(() => watchConnections(admin), poll);
  };
  const giveUpDraining = (error: unknown) => {
    if (state.name !== "draining") return;
    supervised.undrained(error);
    handle({ kind: "drained" });
  };
  const watchConnections = (admin: Pick<EnvoyAdmin, "connections">) => {
    look(admin).catch(giveUpDraining);
  };
  const drain = async () => {
    arm(drainTime);
    const { admin } = envoy;
    if (admin === undefined) throw new Error("Envoy has no admin interface that kuma-dp knows of");
    await admin.drain();
    if (state.name === "draining") watchConnections(admin);
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
        killAll("SIGTERM");
        arm(margin);
        break;
      case "kill":
        clearTimeout(timer);
        killAll("SIGKILL");
        break;
      case "none":
        break;
    }
    supervised.entered(state);
    if (state.name !== "ended") return;
    clearTimeout(timer);
    killAll("SIGKILL");
    const { outcome: ended } = state;
    void Promise.all([...alive].map(({ exit }) => exit)).then(() => resolve(ended));
  }

  function watch({ child }: Envoy): void {
    alive.add(child);
    void child.exit.then(({ code, signal }) => {
      alive.delete(child);
      if (predecessor === child) predecessor = undefined;
      else if (envoy.child === child) handle({ kind: "exited", code, signal });
    });
  }

  async function replace(successor: Envoy, serves: () => Promise<boolean>): Promise<boolean> {
    let gone = false;
    watch(successor);
    handle({ kind: "successor-started" });
    void successor.child.exit.then(() => {
      gone = true;
      if (state.name === "handing-over" && envoy.child !== successor.child) handle({ kind: "successor-gone" });
    });
    while (state.name === "handing-over" && !gone) {
      // One that doesn't answer yet does not serve yet.
      if (await serves().catch(() => false)) {
        if (gone || state.name !== "handing-over") break;
        if (alive.has(envoy.child)) predecessor = envoy.child;
        envoy = successor;
        handle({ kind: "successor-serves" });
        return true;
      }
      await new Promise<void>((wake) => void setTimeout(wake, poll));
    }
    return false;
  }

  watch(supervised);
  return {
    signal: () => handle({ kind: "signal" }),
    replace,
    pid: () => envoy.child.pid,
    predecessor: () => predecessor,
    state: () => state,
    outcome,
  };
}
