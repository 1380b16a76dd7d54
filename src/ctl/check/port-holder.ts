import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import path from "node:path";
import type { PortHolder } from "./context.js";

function attempt<T>(read: () => T, otherwise: T): T {
  try {
    return read();
  } catch {
    // Processes come and go, and those of other users may be unreadable: neither is an error.
    return otherwise;
  }
}

/** TCP_LISTEN in /proc/net/tcp. */
const listening = "0A";

/** The inodes of sockets that listen on the port, parsed from lines such as `0: 00000000:1631 … 0A … 12345`. */
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

/** The program name in the command line. A process can choose another name for `comm`, which may be that of a thread. */
function programOf(pid: string): string {
  const [command = ""] = attempt(() => readFileSync(`/proc/${pid}/cmdline`, "utf8"), "").split("\0");
  // Servers such as nginx append their state to their name.
  const [word = ""] = command.split(" ");
  return path.basename(word).replace(/:$/, "") || "a program";
}

/** The process that listens on a port of this machine, if this user may see it. */
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
