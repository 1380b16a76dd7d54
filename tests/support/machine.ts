import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";

export interface Terminal {
  readonly output: () => string;
  /** Sends Ctrl-C and waits until all its processes have exited. */
  interrupt(): Promise<void>;
}

/**
 * A virtual machine made of namespaces, with its own processes, mounts and loopback interface, so that the documented
 * ports are free.
 */
export interface Machine {
  /** Runs a script until it exits, or for this many seconds. */
  run(script: string, seconds?: number): { status: number | null; stdout: string; stderr: string };
  /** Moves a network device of this machine into it, and assigns an address (with prefix length). */
  attach(device: string, address: string): void;
  /** Types a script into its own terminal, which stays open. */
  terminal(script: string): Terminal;
  /** Ends all its processes. */
  stop(): Promise<void>;
}

/** Reports the leader's process ID as seen from outside, sets up, reports that, and keeps running. */
const leaderScript = (setUp: string) => `
set -e
read -r pid _ < /proc/self/stat
ip link set lo up
${setUp}
echo "up $pid"
exec sleep infinity
`;

async function said(child: ChildProcess): Promise<string> {
  let text = "";
  let errors = "";
  child.stderr?.on("data", (chunk: Buffer) => (errors += chunk.toString()));
  return new Promise((resolve, reject) => {
    child.stdout?.on("data", (chunk: Buffer) => {
      text += chunk.toString();
      if (text.includes("\n")) resolve(text);
    });
    child.on("close", () => reject(new Error(`a machine of its own could not be had: ${errors}`)));
    child.on("error", reject);
  });
}

function must(program: string, ...args: readonly string[]): void {
  const { status, stderr, error } = spawnSync(program, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`${program} ${args.join(" ")}: ${error?.message ?? stderr}`);
}

/** Connects two machines with these addresses. */
export function connectMachines(...ends: readonly [readonly [Machine, string], readonly [Machine, string]]): void {
  const devices = ends.map((_, index) => `kuma${process.pid}${"ab"[index]}`);
  const [one = "", other = ""] = devices;
  must("ip", "link", "add", one, "type", "veth", "peer", "name", other);
  for (const [index, [machine, address]] of ends.entries()) machine.attach(devices[index] ?? "", address);
}

/**
 * Starts a machine. `setUp` is a script that mounts what it needs; `shell` is the command that runs a script in it,
 * which is appended as the last argument. Needs root.
 */
export async function startMachine({ setUp, shell }: { setUp: string; shell: readonly string[] }): Promise<Machine> {
  const unshare = ["--mount", "--net", "--pid", "--fork", "--kill-child", "bash", "-c", leaderScript(setUp)];
  const leader = spawn("unshare", unshare, { stdio: ["ignore", "pipe", "pipe"] });
  const ended = once(leader, "close");
  const pid = /^up (\d+)$/m.exec(await said(leader))?.[1] ?? "";
  const words = ["--target", pid, "--mount", "--net", "--pid", ...shell];
  return {
    attach(device, address) {
      must("ip", "link", "set", device, "netns", pid);
      const inside = ["--target", pid, "--net", "ip"];
      must("nsenter", ...inside, "address", "add", address, "dev", device);
      must("nsenter", ...inside, "link", "set", device, "up");
    },
    run(script, seconds = 120) {
      const options = { encoding: "utf8", timeout: seconds * 1000, killSignal: "SIGKILL" } as const;
      const { status, stdout, stderr } = spawnSync("nsenter", [...words, script], options);
      return { status, stdout, stderr };
    },
    terminal(script) {
      // Its own process group, as in a terminal: Ctrl-C reaches all of it.
      const child = spawn("nsenter", [...words, script], { stdio: ["ignore", "pipe", "pipe"], detached: true });
      const closed = once(child, "close");
      let text = "";
      for (const stream of [child.stdout, child.stderr]) {
        stream.on("data", (chunk: Buffer) => {
          text += chunk.toString();
        });
      }
      return {
        output: () => text,
        async interrupt() {
          if (child.pid !== undefined) process.kill(-child.pid, "SIGINT");
          await closed;
        },
      };
    },
    async stop() {
      leader.kill("SIGKILL");
      await ended;
    },
  };
}
