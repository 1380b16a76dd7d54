import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";

/** What names a node on this machine. */
export interface NodeTraces {
  readonly cgroup: string;
  readonly directory: string;
}

function processes(mark: string): string[] {
  return fs.readdirSync("/proc").flatMap((pid) => {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) return [];
    try {
      const words = fs.readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
      const cgroups = fs.readFileSync(`/proc/${pid}/cgroup`, "utf8");
      return words.includes(mark) || cgroups.includes(mark) ? [`process ${pid}: ${words}`] : [];
    } catch (error) {
      // It has ended meanwhile.
      if (["ENOENT", "ESRCH"].includes((error as NodeJS.ErrnoException).code ?? "")) return [];
      throw error;
    }
  });
}

/** The names of this machine's network devices. */
export function networkDevices(): string[] {
  return fs.readdirSync("/sys/class/net").sort();
}

/** Settings of the whole machine that kubelet would like to change. */
export function machineSettings(): string {
  const names = ["vm.overcommit_memory", "kernel.panic", "kernel.panic_on_oops", "kernel.keys.root_maxkeys"];
  return names
    .map((name) => `${name}=${fs.readFileSync(`/proc/sys/${name.replaceAll(".", "/")}`, "utf8").trim()}`)
    .join();
}

/** What there is on this machine of a node: processes, mounts, cgroups, files. */
export function tracesOf({ cgroup, directory }: NodeTraces): string[] {
  const mounts = fs
    .readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .filter((line) => line.includes(directory));
  const cgroups = spawnSync("find", ["/sys/fs/cgroup", "-maxdepth", "2", "-name", cgroup], { encoding: "utf8" });
  return [
    ...[cgroup, directory].flatMap(processes),
    ...mounts.map((line) => `mount ${line}`),
    ...cgroups.stdout.split("\n").flatMap((line) => (line === "" ? [] : [`cgroup ${line}`])),
    ...(fs.existsSync(directory) ? [`directory ${path.resolve(directory)}`] : []),
  ];
}
