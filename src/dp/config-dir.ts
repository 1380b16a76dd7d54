import { createHash } from "node:crypto";
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  type Stats,
  statSync,
} from "node:fs";
import path from "node:path";
import { accessLogFifo } from "../lib/config-dir-files.js";
import { messageOf, UserError } from "../lib/errors.js";
import { unsafeDirectory } from "../lib/ownership.js";
import { pidFile } from "./orphan.js";
import { writeOwnFile } from "./own-file.js";

/**
 * Where one run's files live; the working directory of this process and of Envoy, so that all names in Envoy's
 * configuration are relative, and mean this directory whatever happens to its path.
 */
export interface ConfigDir {
  readonly path: string;
  /** Writes a file that only we may read, in one step: Envoy never sees half of it. */
  write(name: string, content: string): void;
  /** Removes what this run left: all of a temporary directory, only the run's own files of a given one. Never throws. */
  remove(): void;
}

export const files = {
  bootstrap: "bootstrap.yaml",
  nextBootstrap: "bootstrap.next.yaml",
  token: "token",
  adminSocket: "admin.sock",
  hotRestart: "hot-restart",
  accessLogs: accessLogFifo,
} as const;

/** Files that mean nothing once the run that made them is over. */
const runFiles: readonly string[] = [
  files.adminSocket,
  files.accessLogs,
  files.token,
  files.hotRestart,
  files.nextBootstrap,
  pidFile,
];

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

function discardRunFiles(): void {
  for (const name of runFiles) rmSync(name, { force: true, recursive: true });
}

/** What is known of a directory that may be ours to use. Throws what `open` does, also for a link, or an Error that says why it is not. */
function examine(directory: string): Stats {
  const fd = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  try {
    const facts = fstatSync(fd);
    const why = unsafeDirectory(facts);
    if (why !== undefined) throw new Error(`it is a directory that ${why}`);
    return facts;
  } finally {
    closeSync(fd);
  }
}

/** Makes a directory the working one, the one that was examined and no other. */
function enter(directory: string): void {
  const examined = examine(directory);
  process.chdir(directory);
  const entered = statSync(".");
  if (entered.dev !== examined.dev || entered.ino !== examined.ino) throw new Error("it was replaced meanwhile");
}

function openDirectory(directory: string, removeAll: boolean): ConfigDir {
  enter(directory);
  return {
    path: directory,
    write: (name, content) => writeOwnFile(".", name, content),
    remove() {
      try {
        if (removeAll) rmSync(directory, { force: true, recursive: true });
        else discardRunFiles();
      } catch {
        // Only ever called on the way out: a directory that cannot be removed must not change the exit code.
      }
    },
  };
}

type Unusable = "config-dir.unusable" | "config-dir.temporary" | "config-dir.present";

function unusable(id: Unusable, directory: string, cause: unknown): UserError {
  const isLink = cause instanceof Error && "code" in cause && (cause.code === "ELOOP" || cause.code === "ENOTDIR");
  const problem = isLink ? "it has to be a directory, and no link to one" : messageOf(cause);
  return UserError.of(id, { directory, problem }, { cause });
}

/**
 * A new directory, mode 0700, under `temporary`; it becomes the working directory and goes away with the run.
 * @throws UserError `config-dir.temporary`
 */
export function createTemporary(temporary: string, mesh: string, name: string): ConfigDir {
  try {
    return openDirectory(mkdtempSync(path.join(temporary, temporaryPrefix(mesh, name))), true);
  } catch (error) {
    throw unusable("config-dir.temporary", temporary, error);
  }
}

/**
 * Refuses a directory that the user named and that another user could change, before anything in it is believed; a
 * missing one is all right. Throws UserError("config-dir.unusable").
 */
export function examineGiven(directory: string): void {
  try {
    if (lstatSync(directory, { throwIfNoEntry: false }) !== undefined) examine(directory);
  } catch (error) {
    throw unusable("config-dir.unusable", directory, error);
  }
}

/**
 * The directory of a run that goes on, after kuma-dp executed itself: nothing in it is touched. It becomes the working
 * directory.
 * @throws UserError `config-dir.present`
 */
export function reopen(directory: string, temporary: boolean): ConfigDir {
  try {
    return openDirectory(directory, temporary);
  } catch (error) {
    throw unusable("config-dir.present", directory, error);
  }
}

/**
 * The directory that the user named, created with mode 0755 when missing; what an earlier run left in it is removed.
 * It becomes the working directory. Throws UserError("config-dir.unusable"), as `examineGiven` does.
 */
export function openGiven(directory: string): ConfigDir {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o755 });
    const opened = openDirectory(directory, false);
    discardRunFiles();
    return opened;
  } catch (error) {
    throw unusable("config-dir.unusable", directory, error);
  }
}
