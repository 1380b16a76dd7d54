import { randomBytes } from "node:crypto";
import { closeSync, constants, fstatSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";

/**
 * Writes a file that only we may read, in one step: a reader never sees half of it. What stands under its name, a link
 * to another file included, is replaced and not written to.
 */
export function writeOwnFile(directory: string, name: string, content: string): void {
  // Somebody may have put something under a name that can be foreseen.
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
 * @returns undefined when it is not a plain file of ours, or longer than `limit` bytes
 * @throws when it cannot be opened, as when it is missing or a link
 */
export function readOwnFile(file: string, limit: number): string | undefined {
  // A FIFO would have us wait for its writer.
  const fd = openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const facts = fstatSync(fd);
    if (!facts.isFile() || facts.uid !== process.getuid?.() || facts.size > limit) return undefined;
    return readFileSync(fd, "utf8");
  } finally {
    closeSync(fd);
  }
}
