import type { EnvoyAdmin } from "./envoy-admin.js";
import { type Event, type Outcome, type State, step } from "./supervision.js";

/** A started Envoy, as supervision sees it. */
export interface Child {
  readonly pid: number;
  kill(signal: "SIGTERM" | "SIGKILL" | "SIGUSR1"): void;
  /** Resolves when the process has exited. */
  readonly exit: Promise<{ code: number | null; signal: string | null }>;
}

export interface Envoy {
  readonly child: Child;
  /** Undefined when Envoy's admin interface is unknown: a stop then does not drain. */
  readonly admin: Pick<EnvoyAdmin, "drain" | "connections"> | undefined;
}

export interface Supervised extends Envoy {
  /** The longest wait for connections to close, in milliseconds. */
  readonly drainTime: number;
  /** How long Envoy may take to exit after SIGTERM, in milliseconds. */
  readonly margin: number;
  /** The pause between two checks of open connections, in milliseconds. */
  readonly poll: number;
  /** Called for each new state. */
  readonly entered: (state: State) => void;
  readonly drainFailed: (error: unknown) => void;
}

export interface Supervisor {
  /** Requests a stop: the first call drains, the second kills. */
  signal(): void;
  /**
   * Supervises a successor beside the Envoy that it takes over from. Resolves with true once the successor serves, and
   * with false when it or the whole run ends first; the first Envoy then continues. Must not be called while there is a
   * `predecessor`.
   */
  replace(successor: Envoy, serves: () => Promise<boolean>): Promise<boolean>;
  /** The process ID of the Envoy that serves. */
  readonly pid: () => number;
  /** The Envoy that was last replaced, until it has exited. */
  readonly predecessor: () => Child | undefined;
  readonly state: () => State;
  /** Resolves when no Envoy is left. */
  readonly outcome: Promise<Outcome>;
}

/** Drives the state machine of supervision.ts with real Envoys, or those of a test. */
export function supervise(supervised: Supervised): Supervisor {
  const { drainTime, margin, poll } = supervised;
  let envoy: Envoy = supervised;
  let state: State = { name: "running" };
  let predecessor: Child | undefined;
  /** Those that have not exited. */
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

  const pollConnections = async (admin: Pick<EnvoyAdmin, "connections">) => {
    // A predecessor is already draining and exits by itself when its time is over.
    if ((await admin.connections()) === 0 && predecessor === undefined) handle({ kind: "drained" });
    else if (state.name === "draining") pollTimer = setTimeout(() => watchConnections(admin), poll);
  };
  const giveUpDraining = (error: unknown) => {
    if (state.name !== "draining") return;
    supervised.drainFailed(error);
    handle({ kind: "drained" });
  };
  const watchConnections = (admin: Pick<EnvoyAdmin, "connections">) => {
    pollConnections(admin).catch(giveUpDraining);
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
      // An Envoy that does not answer yet does not serve yet.
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
