import path from "node:path";
import { configDirFiles } from "./config-dir-files.js";

/** How many log directories a proxy may have. */
export const mostLogDirectories = 16;
/** The longest path of a log directory, in characters. */
const longestLogDirectory = 1024;
/**
 * For a proxy without log directories in its metadata: its bootstrap comes from an earlier kuma-dp or another program.
 */
export const defaultLogDirectories: readonly string[] = ["/tmp"];

function normalised(directory: string): string {
  const normal = path.posix.normalize(directory);
  return normal.length > 1 && normal.endsWith("/") ? normal.slice(0, -1) : normal;
}

/** The problem with a log directory, to complete "the directory … "; undefined if there is none. */
export function logDirectoryProblem(directory: string): string | undefined {
  if (directory.length > longestLogDirectory) return `is longer than ${longestLogDirectory} characters`;
  if (!directory.startsWith("/")) return "has to be an absolute path, such as /var/log/envoy";
  // A line break or a NUL would end the path for some readers.
  if (/\p{Cc}/u.test(directory)) return "contains a control character";
  return directory === normalised(directory) ? undefined : `has to be written ${normalised(directory)}`;
}

/** Always allowed, because nothing is stored. */
const sink = "/dev/null";

/**
 * Whether Envoy may write a log to this path. Allowed are its working directory, which is kuma-dp's config dir, except
 * kuma-dp's own files there, and anything below a log directory, after `..` and the like are resolved. Symbolic links
 * are not resolved: they are on another machine, and whoever may create one in a log directory decides where it leads.
 */
export function mayLogTo(logDirectories: readonly string[], file: string): boolean {
  if (file === "" || file.includes("\0")) return false;
  const normal = path.posix.normalize(file);
  if (normal === sink) return true;
  if (!normal.startsWith("/")) {
    const [first = ""] = normal.split("/");
    // A name with a leading dot may be a temporary file of kuma-dp.
    return !first.startsWith(".") && !configDirFiles.includes(first);
  }
  return logDirectories.some(
    (directory) => normal === directory || normal.startsWith(directory === "/" ? "/" : `${directory}/`),
  );
}
