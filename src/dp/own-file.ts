import { randomBytes } from "node:crypto";
import { closeSync, constants, fstatSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";

/**
 * Atomically writes a file that only we may read: a reader never sees part of it. An existing entry of that name, such
 * as a link to another file, is replaced and not written to.
 */
export function writeOwnFile(directory: string, name: string, content: string): void {
  // Random, because another user may have created an entry under a predictable name.
  const fresh = path.join(directory, `.${name}.${randomBytes(9).toString("base64url")}`);
  try {
    writeFileSync(fresh, content, { mode: 0o600, flag: "wx" });
    renameSync(fresh, path.join(directory, name));
  } catch (error) {
    rmSync(fresh, { force: true });
    throw error;
  }
}

/**
 * Reads a small file that we wrote.
 * @returns undefined when it is not a regular file of ours, or is longer than `limit` bytes
 * @throws when it cannot be opened, for example because it is missing or a link
 */
export function readOwnFile(file: string, limit: number): string | undefined {
  // O_NONBLOCK, because opening a FIFO would wait for its writer.
  const fd = openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const facts = fstatSync(fd);
    if (!facts.isFile() || facts.uid !== process.getuid?.() || facts.size > limit) return undefined;
    return readFileSync(fd, "utf8");
  } finally {
    closeSync(fd);
  }
}
