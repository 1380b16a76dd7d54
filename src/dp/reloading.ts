import { messageOf } from "../lib/errors.js";
import type { Logger } from "../lib/logger.js";
import { hotRestartObstacle } from "./hot-restart.js";
import { readPidRecord } from "./orphan.js";
import {
  becomeExecutable,
  checkExecutable,
  executableOf,
  executionObstacle,
  handoverObstacle,
  type Invocation,
} from "./reload.js";
import type { Supervisor } from "./supervisor.js";

export interface ReloadOptions {
  readonly invocation: Invocation;
  /** Undefined until Envoy is started. */
  readonly supervisor: () => Supervisor | undefined;
  readonly configDir: () => string;
  readonly logger: Logger;
  /** Shows a sentence to the user regardless of the log level. */
  readonly notice: (sentence: string) => void;
}

/** Handles reload requests. */
export interface Reloading {
  /** Reloads as soon as Envoy runs and its predecessor is gone. Requests until then are served by one reload. */
  request(): void;
  /** Call it whenever Envoy's state changes. */
  follow(): void;
  /** The executable to execute once Envoy has stopped, when Envoy can't hand over; undefined otherwise. */
  readonly successor: () => string | undefined;
  /** Drops the successor, because a stop was requested. Returns true when Envoy is already draining for a reload. */
  cancel(): boolean;
}

/**
 * Replaces this process with its executable, which continues with the running Envoy and starts another one that takes
 * over.
 */
export function createReloading({ invocation, supervisor, configDir, logger, notice }: ReloadOptions): Reloading {
  let requested = false;
  let working = false;
  let successor: string | undefined;

  async function reload(running: Supervisor): Promise<void> {
    const impossible = executionObstacle();
    if (impossible !== undefined) throw new Error(impossible);
    const executable = executableOf(invocation);
    const report = await checkExecutable(executable, invocation);
    const envoy = readPidRecord(".")?.envoy;
    const obstacle =
      envoy === undefined
        ? "the process of the running Envoy is unknown"
        : await handoverObstacle(envoy, report, hotRestartObstacle()).catch(messageOf);
    // A signal that arrived in the meantime takes precedence.
    if (running.state().name !== "running") return;
    if (obstacle === undefined) {
      logger.info("executing", { executable });
      becomeExecutable(executable, invocation, configDir());
    }
    notice(`Envoy can't be hot restarted, so it is stopped and started again: ${obstacle}`);
    successor = executable;
    running.signal();
  }

  async function work(): Promise<void> {
    working = true;
    try {
      for (;;) {
        const running = supervisor();
        if (!requested || running === undefined || running.state().name !== "running") return;
        const predecessor = running.predecessor();
        if (predecessor !== undefined) {
          // A third Envoy would make the first one exit at once, with all its connections.
          await predecessor.exit;
          continue;
        }
        requested = false;
        await reload(running).catch((error: unknown) => notice(`kuma-dp was not reloaded: ${messageOf(error)}`));
      }
    } finally {
      working = false;
    }
  }

  function follow(): void {
    if (!working) void work();
  }

  return {
    request() {
      requested = true;
      follow();
    },
    follow,
    successor: () => successor,
    cancel() {
      const draining = successor !== undefined;
      requested = false;
      successor = undefined;
      return draining;
    },
  };
}
