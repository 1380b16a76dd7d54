import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { removeSharedMemory } from "../../src/dp/hot-restart.js";
import { eventually } from "../support/eventually.js";

/** The directory of the built executables. */
export const bin = process.env.KUMA_BIN ?? path.resolve("dist/bin");
export const envoyBinary = path.join(bin, "envoy");

export interface Run {
  readonly pid: number;
  /** Standard output and error so far. */
  output(): string;
  signal(name: NodeJS.Signals): void;
  readonly ended: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
}

/** One test's processes, servers and files: all of it is gone after `close`. */
export interface Stage {
  /** TMPDIR of every process that is started here; empty again when they have cleaned up. */
  readonly temporary: string;
  start(program: string, args: readonly string[], env?: Record<string, string>): Run;
  /** A control plane with the given response to POST /bootstrap, on `port` or any free one. */
  controlPlane(answer: () => { status: number; body: string }, port?: number): Promise<ControlPlane>;
  /** An application that sends back what it gets. */
  echo(): Promise<number>;
  connect(port: number): Promise<Talk>;
  /** Ends an Envoy of ours that the test found, at the end of the test at the latest. */
  holds(pid: number): void;
  close(): Promise<void>;
}

export interface ControlPlane {
  readonly url: string;
  readonly requests: readonly { line: string; body: string }[];
}

export interface Talk {
  readonly socket: Socket;
  /** Sends a line and gives what comes back. */
  say(line: string): Promise<string>;
  readonly closed: Promise<void>;
}

function own(env: Record<string, string>, temporary: string): Record<string, string | undefined> {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith("KUMA_"));
  return { ...Object.fromEntries(inherited), TMPDIR: temporary, ...env };
}

function run(child: ChildProcess): Run {
  let text = "";
  const collect = (chunk: Buffer) => {
    text += chunk.toString("utf8");
  };
  child.stdout?.on("data", collect);
  child.stderr?.on("data", collect);
  child.on("error", (error) => {
    text += error.message;
  });
  const { pid } = child;
  if (pid === undefined) throw new Error(`${child.spawnfile} could not be started`);
  // "exit" and not "close": an orphaned Envoy keeps the pipes of its kuma-dp open.
  const ended = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) => {
    child.once("exit", (code, signal) => setImmediate(() => resolve({ code, signal })));
  });
  return { pid, output: () => text, signal: (name) => void child.kill(name), ended };
}

function talk(socket: Socket): Talk {
  let received = "";
  socket.setEncoding("utf8").on("data", (text) => {
    received += text;
  });
  let gone = false;
  const closed = new Promise<void>((resolve) => {
    socket.once("close", () => {
      gone = true;
      resolve();
    });
  });
  socket.on("error", () => socket.destroy());
  return {
    socket,
    closed,
    async say(line) {
      received = "";
      socket.write(`${line}\n`);
      await eventually(`an echo of ${line}`, () => gone || received.endsWith("\n"));
      return received.trimEnd();
    },
  };
}

function listen(server: Server, port = 0): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", () => resolve((server.address() as AddressInfo).port));
  });
}

export function alive(pid: number): boolean {
  try {
    return !/^\S+ \(.*\) [ZX]/s.test(readFileSync(`/proc/${pid}/stat`, "latin1"));
  } catch {
    // No such process any more.
    return false;
  }
}

export function openStage(): Stage {
  const temporary = realpathSync(mkdtempSync(path.join(tmpdir(), "kuma-test-")));
  const children = new Map<Run, ChildProcess>();
  const servers: Server[] = [];
  const sockets = new Set<Socket>();
  const held = new Set<number>();
  const keep = (server: Server) => {
    servers.push(server);
    server.on("connection", (socket: Socket) => {
      sockets.add(socket);
      socket.once("close", () => sockets.delete(socket));
    });
  };
  return {
    temporary,
    start(program, args, env = {}) {
      const child = spawn(path.join(bin, program), args, {
        env: own(env, temporary),
        cwd: temporary,
        stdio: ["ignore", "pipe", "pipe"],
      });
      const started = run(child);
      children.set(started, child);
      return started;
    },
    async controlPlane(answer, port) {
      const requests: { line: string; body: string }[] = [];
      const server = createHttpServer((request, response) => {
        let body = "";
        request.setEncoding("utf8").on("data", (text) => {
          body += text;
        });
        request.on("end", () => {
          requests.push({ line: `${request.method} ${request.url}`, body });
          const { status, body: reply } = answer();
          response.writeHead(status).end(reply);
        });
      });
      keep(server);
      return { url: `http://127.0.0.1:${await listen(server, port)}`, requests };
    },
    echo() {
      const server = createServer((socket) => {
        socket.on("error", () => socket.destroy());
        socket.pipe(socket);
      });
      keep(server);
      return listen(server);
    },
    connect(port) {
      return new Promise((resolve, reject) => {
        const socket = connect(port, "127.0.0.1");
        sockets.add(socket);
        socket.once("error", reject);
        socket.once("connect", () => {
          socket.off("error", reject);
          resolve(talk(socket));
        });
      });
    },
    holds: (pid) => void held.add(pid),
    async close() {
      for (const envoy of envoysIn(temporary)) held.add(envoy);
      for (const [started, child] of children) {
        if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
        await started.ended;
      }
      for (const pid of held) if (alive(pid)) process.kill(pid, "SIGKILL");
      // What a kuma-dp that is killed can't remove itself, and no other comes to.
      for (const name of readdirSync(temporary)) removeSharedMemory(path.join(temporary, name));
      for (const socket of sockets) socket.destroy();
      for (const server of servers) await new Promise((resolve) => server.close(resolve));
      rmSync(temporary, { recursive: true, force: true });
    },
  };
}

/** Runs `act` on a stage of its own. */
export async function onStage(act: (stage: Stage) => Promise<void>): Promise<void> {
  const stage = openStage();
  try {
    await act(stage);
  } finally {
    await stage.close();
  }
}

/** Config dirs that are in `temporary` now. */
export function configDirs(temporary: string): string[] {
  return readdirSync(temporary)
    .filter((name) => name.startsWith("kuma-dp-"))
    .map((name) => path.join(temporary, name));
}

function envoyIn(directory: string): number | undefined {
  const file = path.join(directory, "envoy.pid");
  if (!existsSync(file)) return undefined;
  const record: { envoy?: { pid: number } } = JSON.parse(readFileSync(file, "utf8"));
  return record.envoy?.pid;
}

function envoysIn(temporary: string): number[] {
  return configDirs(temporary)
    .map(envoyIn)
    .filter((pid) => pid !== undefined);
}

/** The Envoy whose kuma-dp keeps `directory`, once it is there. */
export function envoyOf(directory: string): Promise<number> {
  return eventually(`Envoy's process id in ${directory}`, () => {
    const pid = envoyIn(directory);
    if (pid === undefined) throw new Error("not there yet");
    return pid;
  });
}

/** The only config dir in the stage's temporary directory, and its Envoy. */
export async function onlyEnvoy(stage: Stage): Promise<{ directory: string; pid: number }> {
  const directory = await eventually("one config dir", () => {
    const [found, ...others] = configDirs(stage.temporary);
    if (found === undefined || others.length > 0) throw new Error(`there are ${found ? others.length + 1 : 0}`);
    return found;
  });
  return { directory, pid: await envoyOf(directory) };
}

/** A bootstrap without a control plane behind it: one listener that passes connections on to `upstream`. */
export function staticBootstrap(listener: number, upstream: number, admin?: number): string {
  const address = (port: number) => ({ socketAddress: { address: "127.0.0.1", portValue: port } });
  return JSON.stringify({
    node: { id: "default.test", cluster: "test" },
    ...(admin === undefined ? {} : { admin: { address: address(admin) } }),
    staticResources: {
      listeners: [
        {
          name: "in",
          address: address(listener),
          enableReusePort: false,
          filterChains: [
            {
              filters: [
                {
                  name: "envoy.filters.network.tcp_proxy",
                  typedConfig: {
                    "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
                    statPrefix: "in",
                    cluster: "app",
                  },
                },
              ],
            },
          ],
        },
      ],
      clusters: [
        {
          name: "app",
          type: "STATIC",
          connectTimeout: "1s",
          loadAssignment: {
            clusterName: "app",
            endpoints: [{ lbEndpoints: [{ endpoint: { address: address(upstream) } }] }],
          },
        },
      ],
    },
  });
}
