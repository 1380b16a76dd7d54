import { execFile } from "node:child_process";
import { accessSync, constants, realpathSync, statSync } from "node:fs";
import path from "node:path";
import { messageOf, UserError } from "./errors.js";

/** Where to look from; everything that a lookup depends on. */
export interface LookupPlace {
  /** The PATH variable. */
  readonly searchPath: string;
  /** The kuma-dp executable itself. */
  readonly self: string;
  readonly workingDirectory: string;
}

/** The name that is looked for when nobody configured one. */
export const defaultEnvoy = "envoy";

const isPath = (configured: string) => configured.includes("/");

/**
 * The places of an Envoy in the order in which they are tried, by the rules of a shell: a configured name with a slash is
 * a path and the only place, any other is looked up in PATH, then beside kuma-dp, then in the working directory.
 */
export function candidates(configured: string, place: LookupPlace): string[] {
  if (isPath(configured)) return [path.resolve(place.workingDirectory, configured)];
  const directories = [
    // Relative entries of PATH run whatever lies in the current directory: never.
    ...place.searchPath.split(path.delimiter).filter((directory) => path.isAbsolute(directory)),
    path.dirname(place.self),
    place.workingDirectory,
  ];
  return [...new Set(directories.map((directory) => path.join(directory, configured)))];
}

/** Why a file can't be executed; undefined when it can. */
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
 * The first candidate that can be executed, links resolved. What the user configured is used or refused: nothing else
 * takes its place.
 * @throws UserError `envoy.not-executable` that names it and what is wrong with it, `envoy.not-found` that lists the places
 * tried
 */
export function findEnvoy(configured: string, place: LookupPlace): string {
  const tried = candidates(configured, place).map((file) => ({ file, problem: obstacle(file) }));
  const found = tried.find(({ problem }) => problem === undefined);
  if (found !== undefined) return realpathSync(found.file);
  const [only] = tried;
  if (isPath(configured) && only !== undefined) {
    const { file, problem = "" } = only;
    throw UserError.of("envoy.not-executable", { configured, file, problem });
  }
  const places = tried.map(({ file, problem }) => `\n  ${file} ${problem}`).join("");
  const what = configured === defaultEnvoy ? "an executable Envoy" : `an executable "${configured}" (--binary-path)`;
  throw UserError.of("envoy.not-found", { what, places });
}

/** Envoy's builds are linked against this version of the C library or a later one. */
const neededGlibc = "2.31";

/** What the dynamic loader's complaint means, undefined when the text is not one. */
export function explainLoaderFailure(output: string): string | undefined {
  const wanted = /version [`']GLIBC_([\d.]+)' not found/.exec(output)?.[1];
  if (wanted !== undefined) {
    return `this machine's C library is too old for it: it asks for glibc ${wanted}, and Envoy needs at least ${neededGlibc}`;
  }
  const library = /error while loading shared libraries: ([^:]+):/.exec(output)?.[1];
  return library === undefined ? undefined : `the shared library ${library} is missing on this machine`;
}

/** The first one without the API before v3; what is older has v3 in part. */
const oldestMinor = 18;

/** What an Envoy says of its version that is too old for our configuration; undefined when it is not. */
export function explainOldEnvoy(output: string): string | undefined {
  const [, version = "", major, minor] = /\bversion: [^/\s]+\/((\d+)\.(\d+)\.\d+)/.exec(output) ?? [];
  if (major !== "1" || Number(minor) >= oldestMinor) return undefined;
  return `it is Envoy ${version}, which is too old: the v3 API takes 1.${oldestMinor} or newer; use the envoy that comes with kuma-dp`;
}

/**
 * Asks why an Envoy that ended at once could not run at all, by starting it for its version only. Done after the
 * failure, not before each start, so that it costs nothing where all is well. Undefined when the binary does run, and is not too old.
 */
export function diagnose(binary: string, timeoutMs: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    execFile(binary, ["--version"], { timeout: timeoutMs }, (error, stdout, stderr) => {
      if (error === null) resolve(explainOldEnvoy(stdout));
      // The file is there, so what is missing is the loader that it names: a system without glibc.
      else if (error.code === "ENOENT") resolve(`this machine has no glibc, and Envoy needs ${neededGlibc} or newer`);
      else if (error.code === "EACCES") resolve("this user may not execute it");
      else if (error.code === "ENOEXEC") resolve("it was built for another kind of machine, or is not a program");
      else resolve(explainLoaderFailure(`${stdout}${stderr}`));
    });
  });
}
