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
  /** Undefined until Envoy was started. */
  readonly supervisor: () => Supervisor | undefined;
  readonly configDir: () => string;
  readonly logger: Logger;
  /** Shows the user a sentence, whatever the log level is. */
  readonly notice: (sentence: string) => void;
}

/** What to do about requests to reload. */
export interface Reloading {
  /** Reloads as soon as Envoy runs and has no predecessor any more; once for all requests until then. */
  request(): void;
  /** To be called whenever Envoy's state has changed. */
  follow(): void;
  /** The executable to become once Envoy has stopped, because it can't hand over; undefined for none. */
  readonly successor: () => string | undefined;
  /** A stop was asked for: no successor any more. True when Envoy drains already, for the sake of a reload. */
  cancel(): boolean;
}

/** Replaces this process by its executable, which goes on with the Envoy that runs and has another one take over. */
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
        ? "the Envoy that runs is not known by its process"
        : await handoverObstacle(envoy, report, hotRestartObstacle()).catch(messageOf);
    // Whatever came meanwhile goes first.
    if (running.state().name !== "running") return;
    if (obstacle === undefined) {
      logger.info("executing", { executable });
      becomeExecutable(executable, invocation, configDir());
    }
    notice(`Envoy can't hand over, so it is stopped and started again: ${obstacle}`);
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
          // A third Envoy would have the first one end at once, with all its connections.
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
