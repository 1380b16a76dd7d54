import { execFile } from "node:child_process";
import { closeSync, constants, fstatSync, lstatSync, openSync, rmSync, watch } from "node:fs";
import { Socket } from "node:net";
import path from "node:path";
import { backoff } from "../lib/deadline.js";
import { UserError } from "../lib/errors.js";
import { files } from "./config-dir.js";

/** Node has no mkfifo. The usual directories are searched too, because PATH may not contain them. */
function makeFifo(directory: string): Promise<void> {
  const env = { PATH: `${process.env.PATH ?? ""}${path.delimiter}/usr/bin${path.delimiter}/bin` };
  return new Promise((resolve, reject) => {
    execFile("mkfifo", ["-m", "600", files.accessLogs], { cwd: directory, env }, (error, _stdout, stderr) => {
      if (error === null) return resolve();
      const missing = error.code === "ENOENT" ? "the program mkfifo is not installed" : stderr.trim();
      reject(new Error(missing === "" ? error.message : missing));
    });
  });
}

/** A FIFO that Envoy writes to, opened for reading. */
interface Opened {
  readonly inode: number;
  readonly socket: Socket;
}

const readBytes = 32 * 1024;

function openFifo(file: string, data: (bytes: Buffer) => void): Opened {
  // Opening it for writing as well means that there is always a writer, so reads never end and the open does not block.
  const fd = openSync(file, constants.O_RDWR | constants.O_NONBLOCK | constants.O_NOFOLLOW);
  const facts = fstatSync(fd);
  if (!facts.isFIFO() || facts.uid !== process.getuid?.()) {
    closeSync(fd);
    throw new Error("it was replaced by something other than kuma-dp's FIFO");
  }
  const onread = {
    buffer: Buffer.alloc(readBytes),
    callback(count: number, bytes: Uint8Array) {
      data(Buffer.from(bytes.buffer, bytes.byteOffset, count));
      return true;
    },
  };
  // A file stream would occupy a thread of the pool while nobody writes.
  return { inode: facts.ino, socket: new Socket({ fd, onread, readable: true, writable: true }) };
}

export interface FifoEvents {
  /** Returns the consumer of one FIFO's bytes. The buffer is valid only during the call. */
  readonly reader: () => (bytes: Buffer) => void;
  /** The FIFO was lost and has been made again. Call `closeOld` once nobody writes to the old one. */
  readonly replaced: (closeOld: () => void) => void;
  readonly failed: (error: unknown) => void;
}

/** The access-log FIFO of one run. */
export interface Fifo {
  /** Appends bytes after those that Envoy wrote. */
  write(bytes: Buffer): void;
  close(): void;
}

const firstPauseMs = 100;
const longestPauseMs = 60_000;

/**
 * Makes the FIFO in the config dir and opens it before Envoy does, because Envoy would create a regular file. From then
 * on the FIFO is made again whenever it is removed or replaced.
 * @param existing keep the FIFO that is there, because a running Envoy writes to it
 * @throws UserError("access-logs.no-fifo")
 */
export async function openAccessLogFifo(directory: string, events: FifoEvents, existing = false): Promise<Fifo> {
  const file = path.join(directory, files.accessLogs);
  let closed = false;
  let mending = false;

  const isFifo = () => lstatSync(file, { throwIfNoEntry: false })?.isFIFO() === true;

  async function make(keep = false): Promise<Opened> {
    if (!keep || !isFifo()) {
      rmSync(file, { force: true, recursive: true });
      await makeFifo(directory);
    }
    const opened = openFifo(file, events.reader());
    opened.socket.on("error", events.failed);
    opened.socket.once("close", () => void check());
    return opened;
  }

  let current: Opened;
  try {
    current = await make(existing);
  } catch (error) {
    throw UserError.of("access-logs.no-fifo", { file, reason: error });
  }

  const isThere = () => !current.socket.destroyed && lstatSync(file, { throwIfNoEntry: false })?.ino === current.inode;

  async function check(): Promise<void> {
    if (closed || mending || isThere()) return;
    mending = true;
    const pauses = backoff({ first: firstPauseMs, max: longestPauseMs });
    while (!closed) {
      try {
        const old = current;
        current = await make();
        if (closed) current.socket.destroy();
        else events.replaced(() => old.socket.destroy());
        break;
      } catch (error) {
        events.failed(error);
        await new Promise<void>((resolve) => void setTimeout(resolve, pauses.next()).unref());
      }
    }
    mending = false;
  }

  const watcher = watch(directory, { persistent: false }, (_event, name) => {
    if (name === files.accessLogs) void check();
  });
  watcher.on("error", events.failed);

  return {
    write: (bytes) => void current.socket.write(bytes),
    close() {
      closed = true;
      watcher.close();
      current.socket.destroy();
    },
  };
}
