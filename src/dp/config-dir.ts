import { createHash } from "node:crypto";
import { lstatSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { accessLogFifo } from "../lib/access-log-fifo.js";
import { messageOf, UserError } from "../lib/errors.js";
import { pidFile } from "./orphan.js";

/** Where one run's files live; Envoy's working directory, so that all names in its configuration are relative. */
export interface ConfigDir {
  readonly path: string;
  /** Writes a file that only we may read, in one step: Envoy never sees half of it. */
  write(name: string, content: string): void;
  /** Removes what this run left: all of a temporary directory, only the run's own files of a given one. Never throws. */
  remove(): void;
}

export const files = {
  bootstrap: "bootstrap.yaml",
  token: "token",
  adminSocket: "admin.sock",
  accessLogs: accessLogFifo,
} as const;

/** Files that mean nothing once the run that made them is over. */
const runFiles: readonly string[] = [files.adminSocket, files.accessLogs, files.token, pidFile];

/** The start of the temporary directory's name: the same for every run of one dataplane, so that the next one finds it. */
export function temporaryPrefix(mesh: string, name: string): string {
  const hash = createHash("sha256")
    .update(JSON.stringify([mesh, name]))
    .digest("hex")
    .slice(0, 12);
  return `kuma-dp-${hash}-`;
}

/**
 * Directories that earlier runs of this dataplane left under `temporary`. Only our own, real directories count:
 * anybody may create names in a shared temporary directory.
 */
export function leftOvers(temporary: string, mesh: string, name: string, uid: number): string[] {
  const prefix = temporaryPrefix(mesh, name);
  return readdirSync(temporary)
    .filter((entry) => entry.startsWith(prefix))
    .map((entry) => path.join(temporary, entry))
    .filter((directory) => {
      const facts = lstatSync(directory, { throwIfNoEntry: false });
      return facts?.isDirectory() === true && facts.uid === uid;
    });
}

/** Removes a directory that `leftOvers` named and nobody uses any more. */
export function removeLeftOver(directory: string): void {
  rmSync(directory, { force: true, recursive: true });
}

function openDirectory(directory: string, removeAll: boolean): ConfigDir {
  const discard = (name: string) => rmSync(path.join(directory, name), { force: true, recursive: true });
  return {
    path: directory,
    write(name, content) {
      const fresh = path.join(directory, `.${name}.new`);
      rmSync(fresh, { force: true });
      writeFileSync(fresh, content, { mode: 0o600, flag: "wx" });
      renameSync(fresh, path.join(directory, name));
    },
    remove() {
      try {
        if (removeAll) rmSync(directory, { force: true, recursive: true });
        else for (const name of runFiles) discard(name);
      } catch {
        // Only ever called on the way out: a directory that cannot be removed must not change the exit code.
      }
    },
  };
}

function unusable(what: string, cause: unknown): UserError {
  return new UserError("config-dir.unusable", `${what}: ${messageOf(cause)}`, { cause });
}

/** A new directory, mode 0700, under `temporary`; it goes away with the run. Throws UserError("config-dir.unusable"). */
export function createTemporary(temporary: string, mesh: string, name: string): ConfigDir {
  try {
    return openDirectory(mkdtempSync(path.join(temporary, temporaryPrefix(mesh, name))), true);
  } catch (error) {
    throw unusable(`could not create a directory in ${temporary}`, error);
  }
}

/**
 * The directory that the user named, created with mode 0755 when missing; what an earlier run left in it is removed.
 * Throws UserError("config-dir.unusable").
 */
export function openGiven(directory: string): ConfigDir {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o755 });
    const opened = openDirectory(directory, false);
    for (const name of runFiles) rmSync(path.join(directory, name), { force: true, recursive: true });
    return opened;
  } catch (error) {
    throw unusable(`could not use --config-dir ${directory}`, error);
  }
}
