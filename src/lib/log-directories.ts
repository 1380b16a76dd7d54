import path from "node:path";
import { configDirFiles } from "./config-dir-files.js";

/** How many directories a proxy may name. */
export const mostLogDirectories = 16;
/** The longest path that it may name one by, in characters. */
const longestLogDirectory = 1024;
/** Of a proxy that says nothing of its log directories: its bootstrap is of an earlier kuma-dp, or of another program. */
export const defaultLogDirectories: readonly string[] = ["/tmp"];

function normalised(directory: string): string {
  const normal = path.posix.normalize(directory);
  return normal.length > 1 && normal.endsWith("/") ? normal.slice(0, -1) : normal;
}

/** What is wrong with a directory for log files, as an ending of "the directory … "; undefined when nothing is. */
export function logDirectoryProblem(directory: string): string | undefined {
  if (directory.length > longestLogDirectory) return `is longer than ${longestLogDirectory} characters`;
  if (!directory.startsWith("/")) return "has to be an absolute path, such as /var/log/envoy";
  // A line break or a null would end the path for some of those who read it.
  if (/\p{Cc}/u.test(directory)) return "holds a control character";
  return directory === normalised(directory) ? undefined : `has to be written ${normalised(directory)}`;
}

/** What needs no permission, because nothing is kept of it. */
const sink = "/dev/null";

/**
 * Whether Envoy may write a log to this path: in its working directory, kuma-dp's config dir, except for kuma-dp's own
 * files there, or below one of the log directories, after `..` and the like are resolved. Links are not: they are on a
 * machine that is not ours, and whoever may make one in a log directory decides where it leads.
 */
export function mayLogTo(logDirectories: readonly string[], file: string): boolean {
  if (file === "" || file.includes("\0")) return false;
  const normal = path.posix.normalize(file);
  if (normal === sink) return true;
  if (!normal.startsWith("/")) {
    const [first = ""] = normal.split("/");
    // A name that begins with a dot may be a file of kuma-dp that is being written.
    return !first.startsWith(".") && !configDirFiles.includes(first);
  }
  return logDirectories.some(
    (directory) => normal === directory || normal.startsWith(directory === "/" ? "/" : `${directory}/`),
  );
}
