import { execFile } from "node:child_process";
import { accessSync, constants, realpathSync, statSync } from "node:fs";
import path from "node:path";
import { messageOf, UserError } from "./errors.js";

/** Everything that a lookup depends on. */
export interface LookupPlace {
  /** The PATH variable. */
  readonly searchPath: string;
  /** The kuma-dp executable itself. */
  readonly self: string;
  readonly workingDirectory: string;
}

/** The default name of the Envoy binary. */
export const defaultEnvoy = "envoy";

const isPath = (configured: string) => configured.includes("/");

/**
 * The paths where Envoy is looked for, in order. As in a shell, a name with a slash is a path and the only candidate;
 * any other name is looked up in PATH, then beside kuma-dp, then in the working directory.
 */
export function candidates(configured: string, place: LookupPlace): string[] {
  if (isPath(configured)) return [path.resolve(place.workingDirectory, configured)];
  const directories = [
    // Relative entries of PATH are skipped: they would run whatever is in the current directory.
    ...place.searchPath.split(path.delimiter).filter((directory) => path.isAbsolute(directory)),
    path.dirname(place.self),
    place.workingDirectory,
  ];
  return [...new Set(directories.map((directory) => path.join(directory, configured)))];
}

/** Why a file can't be executed; undefined if it can. */
function obstacle(file: string): string | undefined {
  try {
    const facts = statSync(file);
    if (facts.isDirectory()) return "is a directory";
    if (!facts.isFile()) return "is no file";
    accessSync(file, constants.X_OK);
    return undefined;
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    if (code === "ENOENT" || code === "ENOTDIR") return "does not exist";
    return code === "EACCES" ? "can't be executed by this user (chmod +x?)" : `can't be used: ${messageOf(error)}`;
  }
}

/**
 * The first executable candidate, with symbolic links resolved. A configured path is used or rejected, never replaced
 * by another.
 * @param setting what configures it, for messages
 * @throws UserError `envoy.not-executable` naming the file and the problem, `envoy.not-found` listing the paths tried
 */
export function findEnvoy(configured: string, place: LookupPlace, setting = "--binary-path"): string {
  const tried = candidates(configured, place).map((file) => ({ file, problem: obstacle(file) }));
  const found = tried.find(({ problem }) => problem === undefined);
  if (found !== undefined) return realpathSync(found.file);
  const [only] = tried;
  if (isPath(configured) && only !== undefined) {
    const { file, problem = "" } = only;
    throw UserError.of("envoy.not-executable", { setting, configured, file, problem });
  }
  const places = tried.map(({ file, problem }) => `\n  ${file} ${problem}`).join("");
  const what = configured === defaultEnvoy ? "an executable Envoy" : `an executable "${configured}"`;
  throw UserError.of("envoy.not-found", { setting, what, places });
}

/** Envoy's builds need this version of glibc or a later one. */
const neededGlibc = "2.31";

/** Explains an error of the dynamic loader; undefined for any other text. */
export function explainLoaderFailure(output: string): string | undefined {
  const wanted = /version [`']GLIBC_([\d.]+)' not found/.exec(output)?.[1];
  if (wanted !== undefined) {
    return `this machine's C library is too old for it: it needs glibc ${wanted}, and Envoy's builds need ${neededGlibc} or newer`;
  }
  const library = /error while loading shared libraries: ([^:]+):/.exec(output)?.[1];
  return library === undefined ? undefined : `the shared library ${library} is missing on this machine`;
}

/** The first minor release without xDS v2; older ones support v3 only in part. */
const oldestMinor = 18;

/** The error for an Envoy that is too old for our configuration, from its version output; undefined if it is not. */
export function explainOldEnvoy(output: string): string | undefined {
  const [, version = "", major, minor] = /\bversion: [^/\s]+\/((\d+)\.(\d+)\.\d+)/.exec(output) ?? [];
  if (major !== "1" || Number(minor) >= oldestMinor) return undefined;
  return `it is Envoy ${version}, which is too old: the v3 API needs 1.${oldestMinor} or newer; use the envoy that comes with kuma-dp`;
}

/**
 * Finds out why an Envoy that exited at once cannot run at all, by asking it for its version. Done after a failure, not
 * before each start, so that it costs nothing normally. Undefined if the binary runs and is not too old.
 */
export function diagnose(binary: string, timeoutMs: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    execFile(binary, ["--version"], { timeout: timeoutMs }, (error, stdout, stderr) => {
      if (error === null) resolve(explainOldEnvoy(stdout));
      // The file exists, so ENOENT means that its dynamic loader is missing: a system without glibc.
      else if (error.code === "ENOENT") resolve(`this machine has no glibc, and Envoy needs ${neededGlibc} or newer`);
      else if (error.code === "EACCES") resolve("this user has no permission to execute it");
      else if (error.code === "ENOEXEC") resolve("it was built for another architecture, or is not a program");
      else resolve(explainLoaderFailure(`${stdout}${stderr}`));
    });
  });
}
