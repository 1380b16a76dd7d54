import { closeSync, fstatSync, openSync, readSync, statSync } from "node:fs";
import { UserError } from "../lib/errors.js";
import { longestToken } from "./token-limit.js";

/** Larger than any token with white space around it; a device file would be endless. */
const mostBytes = 64 * 1024;

const tooLong = (file: string) => UserError.of("token.too-long", { file, longest: longestToken });

function readSmall(file: string): string {
  const fd = openSync(file, "r");
  try {
    if (fstatSync(fd).isDirectory()) throw new Error("it is a directory");
    const bytes = Buffer.alloc(mostBytes + 1);
    let size = 0;
    for (;;) {
      const count = readSync(fd, bytes, size, bytes.length - size, null);
      if (count === 0) return bytes.toString("utf8", 0, size);
      size += count;
      if (size > mostBytes) throw tooLong(file);
    }
  } finally {
    closeSync(fd);
  }
}

/**
 * Reads the dataplane token and trims it: a line break in gRPC metadata makes every call fail. Waits for the writer of
 * a FIFO. Throws UserError("token.unreadable" | "token.empty" | "token.too-long") naming the file.
 */
export function readToken(file: string): string {
  let text: string;
  try {
    text = readSmall(file);
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw UserError.of("token.unreadable", { file, reason: error });
  }
  const token = text.trim();
  if (token === "") throw UserError.of("token.empty", { file });
  if (token.length > longestToken) throw tooLong(file);
  return token;
}

/**
 * Reads the token again, without ever waiting: a FIFO, such as that of a process substitution, was read to its end
 * before. Throws what `readToken` throws, and UserError("token.fifo") for a FIFO.
 */
export function rereadToken(file: string): string {
  let isFifo = false;
  try {
    isFifo = statSync(file).isFIFO();
  } catch {
    // `readToken` reports why the file is unreadable.
    return readToken(file);
  }
  if (isFifo) throw UserError.of("token.fifo", { file });
  return readToken(file);
}
