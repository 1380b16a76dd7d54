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
 * The directory of one run's files. It is the working directory of this process and of Envoy, so that paths in Envoy's
 * configuration can be relative and stay valid when the directory is renamed.
 */
export interface ConfigDir {
  readonly path: string;
  /** Atomically writes a file that only we may read: Envoy never sees part of it. */
  write(name: string, content: string): void;
  /**
   * Removes what this run left: all of a temporary directory, only the run's own files in a directory that the user
   * named. Never throws.
   */
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

/** Files that are useless once the run that made them is over. */
const runFiles: readonly string[] = [
  files.adminSocket,
  files.accessLogs,
  files.token,
  files.hotRestart,
  files.nextBootstrap,
  pidFile,
];

/**
 * The prefix of the temporary directory's name. It is the same for every run of one dataplane, so that the next run
 * finds it.
 */
export function temporaryPrefix(mesh: string, name: string): string {
  const hash = createHash("sha256")
    .update(JSON.stringify([mesh, name]))
    .digest("hex")
    .slice(0, 12);
  return `kuma-dp-${hash}-`;
}

/**
 * Directories that earlier runs of this dataplane left under `temporary`. Links and directories of other users do not
 * count, because anybody may create entries in a shared temporary directory.
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

/** Removes a directory returned by `leftOvers` that nobody uses any more. */
export function removeLeftOver(directory: string): void {
  rmSync(directory, { force: true, recursive: true });
}

function discardRunFiles(): void {
  for (const name of runFiles) rmSync(name, { force: true, recursive: true });
}

/**
 * The status of a directory that is safe to use. Throws what `open` throws, also for a link, or an Error that says why
 * the directory is unsafe.
 */
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

/** Changes to the directory, and throws unless it is the one that was examined. */
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
        // Only called on exit: a directory that cannot be removed must not change the exit code.
      }
    },
  };
}

type Unusable = "config-dir.unusable" | "config-dir.temporary" | "config-dir.present";

function unusable(id: Unusable, directory: string, cause: unknown): UserError {
  const isLink = cause instanceof Error && "code" in cause && (cause.code === "ELOOP" || cause.code === "ENOTDIR");
  const problem = isLink ? "it has to be a directory, not a link to one" : messageOf(cause);
  return UserError.of(id, { directory, problem }, { cause });
}

/**
 * Creates a directory with mode 0700 under `temporary` and changes to it. It is removed at the end of the run.
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
 * Rejects a directory that the user named but other users could change, before anything in it is trusted. A missing
 * directory is fine. Throws UserError("config-dir.unusable").
 */
export function examineGiven(directory: string): void {
  try {
    if (lstatSync(directory, { throwIfNoEntry: false }) !== undefined) examine(directory);
  } catch (error) {
    throw unusable("config-dir.unusable", directory, error);
  }
}

/**
 * Opens the directory of a run that continues after kuma-dp executed itself, leaves its content as it is, and changes
 * to it.
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
 * Opens the directory that the user named, creates it with mode 0755 when it is missing, removes what an earlier run
 * left in it, and changes to it. Throws UserError("config-dir.unusable"), as `examineGiven` does.
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
