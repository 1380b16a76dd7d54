import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";

export interface Terminal {
  readonly output: () => string;
  /** Ctrl-C, and waits until all in it have ended. */
  interrupt(): Promise<void>;
}

/** A machine within this one, with processes, mounts and a loopback of its own: the documented ports are free there. */
export interface Machine {
  /** Runs a script to its end, or for as many seconds. */
  run(script: string, seconds?: number): { status: number | null; stdout: string; stderr: string };
  /** Moves a network device of this machine there, and gives it an address (with the length of its prefix). */
  attach(device: string, address: string): void;
  /** Types a script into a terminal of its own, where it stays. */
  terminal(script: string): Terminal;
  /** Ends everything that runs there. */
  stop(): Promise<void>;
}

/** Reads the leader's process id as the outside sees it, sets up, says so and stays. */
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

/** Connects two machines by a cable, on which they have these addresses. */
export function connectMachines(...ends: readonly [readonly [Machine, string], readonly [Machine, string]]): void {
  const devices = ends.map((_, index) => `kuma${process.pid}${"ab"[index]}`);
  const [one = "", other = ""] = devices;
  must("ip", "link", "add", one, "type", "veth", "peer", "name", other);
  for (const [index, [machine, address]] of ends.entries()) machine.attach(devices[index] ?? "", address);
}

/**
 * Starts a machine. `setUp` is a script that mounts what it needs; `shell` are the words that run a script in it,
 * the script following as the last one. Needs root.
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
    run(script, seconds = 50) {
      const options = { encoding: "utf8", timeout: seconds * 1000, killSignal: "SIGKILL" } as const;
      const { status, stdout, stderr } = spawnSync("nsenter", [...words, script], options);
      return { status, stdout, stderr };
    },
    terminal(script) {
      // A process group of its own, as a terminal has one: Ctrl-C reaches all of it.
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
