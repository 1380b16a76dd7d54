import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import path from "node:path";
import type { PortHolder } from "./context.js";

function attempt<T>(look: () => T, otherwise: T): T {
  try {
    return look();
  } catch {
    // Processes come and go between two looks, and others' files are closed to us: both are nothing to see.
    return otherwise;
  }
}

/** TCP_LISTEN of the kernel's states, as /proc/net/tcp writes it. */
const listening = "0A";

/** The sockets of this machine that listen on the port, by inode: from lines such as `0: 00000000:1631 … 0A … 12345`. */
function listeners(port: number): Set<string> {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const lines = ["/proc/net/tcp", "/proc/net/tcp6"].flatMap((file) =>
    attempt(() => readFileSync(file, "latin1"), "").split("\n"),
  );
  const rows = lines.map((line) => line.trim().split(/\s+/));
  return new Set(
    rows.filter(([, local, , state]) => state === listening && local?.endsWith(suffix)).map((row) => row[9] ?? ""),
  );
}

/** What a process was called as: its own choice of a name, which `comm` has, may be one of a thread. */
function programOf(pid: string): string {
  const [command = ""] = attempt(() => readFileSync(`/proc/${pid}/cmdline`, "utf8"), "").split("\0");
  // Servers such as nginx write their state behind their name.
  const [word = ""] = command.split(" ");
  return path.basename(word).replace(/:$/, "") || "a program";
}

/** The process that listens on a port of this machine, as far as this user may see it. */
export function findHolder(port: number): PortHolder | undefined {
  const wanted = new Set([...listeners(port)].map((inode) => `socket:[${inode}]`));
  if (wanted.size === 0) return undefined;
  for (const pid of attempt(() => readdirSync("/proc"), [])) {
    if (!/^\d+$/.test(pid)) continue;
    const files = attempt(() => readdirSync(`/proc/${pid}/fd`), []);
    if (!files.some((file) => wanted.has(attempt(() => readlinkSync(`/proc/${pid}/fd/${file}`), "")))) continue;
    return { program: programOf(pid), pid: Number(pid) };
  }
  return undefined;
}
