import { execFile } from "node:child_process";
import { accessSync, constants, realpathSync, statSync } from "node:fs";
import path from "node:path";
import { UserError } from "./errors.js";

/** Where to look from; everything that a lookup depends on. */
export interface LookupPlace {
  /** The PATH variable. */
  readonly searchPath: string;
  /** The kuma-dp executable itself. */
  readonly self: string;
  readonly workingDirectory: string;
}

/**
 * The places of an Envoy in the order in which they are tried: the configured name by the rules of a shell (a name
 * with a slash is a path, any other is looked up in PATH), then `envoy` beside kuma-dp, then in the working directory.
 */
export function candidates(configured: string, place: LookupPlace): string[] {
  const named = configured.includes("/")
    ? [path.resolve(place.workingDirectory, configured)]
    : place.searchPath
        .split(path.delimiter)
        // Relative entries of PATH run whatever lies in the current directory: never.
        .filter((directory) => path.isAbsolute(directory))
        .map((directory) => path.join(directory, configured));
  const beside = path.join(path.dirname(place.self), "envoy");
  return [...new Set([...named, beside, path.resolve(place.workingDirectory, "envoy")])];
}

function isExecutableFile(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    // Absent, or not ours to run: the next candidate's turn.
    return false;
  }
}

/** The first candidate that can be executed, links resolved. Throws UserError("envoy.not-found") listing the places tried. */
export function findEnvoy(configured: string, place: LookupPlace): string {
  const tried = candidates(configured, place);
  const found = tried.find(isExecutableFile);
  if (found === undefined) {
    const list = tried.map((file) => `\n  ${file}`).join("");
    throw new UserError(
      "envoy.not-found",
      `could not find an executable Envoy; set --binary-path to one, or put it in one of these places:${list}`,
    );
  }
  return realpathSync(found);
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

/**
 * Asks why an Envoy that ended at once could not run at all, by starting it for its version only. Done after the
 * failure, not before each start, so that it costs nothing where all is well. Undefined when the binary does run.
 */
export function diagnose(binary: string, timeoutMs: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    execFile(binary, ["--version"], { timeout: timeoutMs }, (error, stdout, stderr) => {
      if (error === null) resolve(undefined);
      // The file is there, so what is missing is the loader that it names: a system without glibc.
      else if (error.code === "ENOENT") resolve(`this machine has no glibc, and Envoy needs ${neededGlibc} or newer`);
      else if (error.code === "EACCES") resolve("this user may not execute it");
      else if (error.code === "ENOEXEC") resolve("it was built for another kind of machine, or is not a program");
      else resolve(explainLoaderFailure(`${stdout}${stderr}`));
    });
  });
}
