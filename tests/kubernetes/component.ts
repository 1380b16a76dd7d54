import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";

/** A process of the cluster, which a test may end and start again with the same arguments. */
export interface Component {
  readonly name: string;
  /** What it has printed, since its first start. */
  log(): string;
  readonly running: boolean;
  /** Resident memory in bytes; 0 while it does not run. */
  memory(): number;
  /** Starts it again after `stop` or `kill`. */
  start(): void;
  /** Sends SIGTERM, after 5 s SIGKILL, and resolves once it has exited. */
  stop(): Promise<void>;
  /** Sends SIGKILL and resolves once it has exited. */
  kill(): Promise<void>;
  /** Freezes it with its connections open, until `thaw`. */
  freeze(): void;
  thaw(): void;
}

/** How a command is run: on this machine, or inside a node. */
export type Wrap = (command: readonly string[]) => readonly string[];

const termMs = 5_000;

/** The processes that this one has started, by their IDs on this machine. */
function childrenOf(pid: number): number[] {
  const file = `/proc/${pid}/task/${pid}/children`;
  const text = fs.existsSync(file) ? fs.readFileSync(file, "utf8").trim() : "";
  return text === "" ? [] : text.split(" ").map(Number);
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

/**
 * Starts a process that dies with the test. `wrap` may run it below a process of its own, which exits when it does.
 * @param logFile collects stdout and stderr
 */
export function startComponent(name: string, command: readonly string[], logFile: string, wrap: Wrap): Component {
  let child: ChildProcess | undefined;
  let exited: Promise<unknown> = Promise.resolve();

  function start(): void {
    if (child !== undefined) throw new Error(`${name} is running already`);
    const log = fs.openSync(logFile, "a");
    // Also dies with a test that is killed.
    const [program = "", ...args] = wrap(["setpriv", "--pdeathsig", "KILL", ...command]);
    const started = spawn(program, args, {
      stdio: ["ignore", log, log],
      env: { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", HOME: "/root" },
    });
    fs.closeSync(log);
    child = started;
    exited = once(started, "exit").finally(() => {
      if (child === started) child = undefined;
    });
    // An ENOENT; it is in the log's place.
    exited.catch((error) => fs.appendFileSync(logFile, `${program} could not be started: ${error}\n`));
  }

  /** The process itself, not the one that carries it into a node. */
  function own(): number | undefined {
    const pid = child?.pid;
    if (pid === undefined) return undefined;
    return wrap(["x"]).length === 1 ? pid : (childrenOf(pid)[0] ?? pid);
  }

  async function end(name: NodeJS.Signals): Promise<void> {
    const pid = own();
    if (pid === undefined) return;
    signal(pid, name);
    const late = setTimeout(() => signal(pid, "SIGKILL"), termMs);
    await exited.finally(() => clearTimeout(late));
  }

  function freezeOrThaw(name: NodeJS.Signals): void {
    const pid = own();
    if (pid !== undefined) signal(pid, name);
    // nsenter stops itself together with its child.
    if (name === "SIGCONT" && child?.pid !== undefined) signal(child.pid, name);
  }

  start();
  return {
    name,
    log: () => fs.readFileSync(logFile, "utf8"),
    get running() {
      return child !== undefined;
    },
    memory() {
      const pid = own();
      const file = `/proc/${pid}/status`;
      if (pid === undefined || !fs.existsSync(file)) return 0;
      return Number(/^VmRSS:\s+(\d+) kB$/m.exec(fs.readFileSync(file, "utf8"))?.[1] ?? 0) * 1024;
    },
    start,
    stop: () => end("SIGTERM"),
    kill: () => end("SIGKILL"),
    freeze: () => freezeOrThaw("SIGSTOP"),
    thaw: () => freezeOrThaw("SIGCONT"),
  };
}

/** The last lines of a component's log, for an error message. */
export const lastLines = ({ name, log }: Component, lines = 8): string =>
  `${name}:\n    ${log().trimEnd().split("\n").slice(-lines).join("\n    ")}`;
