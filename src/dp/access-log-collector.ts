import { connect, type Socket } from "node:net";
import { backoff } from "../lib/deadline.js";

/** Where access-log lines go. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

export interface CollectorLimits {
  /** Bytes of lines that wait for the collector, those being written included. */
  readonly bufferBytes: number;
  readonly connectMs: number;
  /** Pause before the first and, at most, before each further try to connect again. */
  readonly firstPauseMs: number;
  readonly longestPauseMs: number;
}

export const collectorLimits: CollectorLimits = {
  bufferBytes: 1024 * 1024,
  connectMs: 5000,
  firstPauseMs: 200,
  longestPauseMs: 10_000,
};

/** One TCP connection, kept for as long as both sides live, and what waits for it. */
export interface Collector {
  /** Takes a line, which is copied at the next `flush`; false when there is no room for it. */
  offer(line: Buffer): boolean;
  /** Hands over what was taken. */
  flush(): void;
  /** Whether nothing waits. */
  isIdle(): boolean;
  /** Sends what waits until the signal fires, then closes. */
  close(signal: AbortSignal): Promise<void>;
}

/**
 * What the collector is about:
 *   idle        no connection; the next line dials
 *   connecting  dialled
 *   connected   lines go out, one block at a time
 *   pausing     the connection is gone, and it is not yet time for the next
 */
type State = "idle" | "connecting" | "connected" | "pausing";

interface Block {
  readonly bytes: Buffer;
  readonly lines: number;
}

const lineBreak = Buffer.from("\n");

/** `lost` hears of lines that were taken and won't arrive, and why. */
export function createCollector(
  { host, port }: Address,
  lost: (lines: number, reason: string) => void,
  limits: CollectorLimits = collectorLimits,
): Collector {
  let state: State = "idle";
  let socket: Socket | undefined;
  let pause: NodeJS.Timeout | undefined;
  let reason = "the collector closed the connection";
  const batch: Buffer[] = [];
  const queue: Block[] = [];
  /** Handed to the kernel, which has not taken it yet. Never sent again: its beginning may have arrived. */
  let writing: Block | undefined;
  let held = 0;
  let emptied: (() => void) | undefined;
  const pauses = backoff({ first: limits.firstPauseMs, max: limits.longestPauseMs });

  function dial(): void {
    state = "connecting";
    // The name is looked up for each connection: a collector may move.
    const dialled = connect({ host, port, keepAlive: true });
    socket = dialled;
    const timer = setTimeout(
      () => dialled.destroy(new Error(`no connection within ${limits.connectMs} ms`)),
      limits.connectMs,
    );
    dialled.once("connect", () => {
      clearTimeout(timer);
      state = "connected";
      pump();
    });
    dialled.on("error", (error) => {
      reason = error.message;
    });
    dialled.once("close", () => {
      clearTimeout(timer);
      disconnected();
    });
    // A collector has nothing to say; unread, its words would hide that it hung up.
    dialled.resume();
  }

  function disconnected(): void {
    socket = undefined;
    if (writing !== undefined) {
      held -= writing.bytes.length;
      lost(writing.lines, reason);
      writing = undefined;
    }
    reason = "the collector closed the connection";
    state = "pausing";
    if (isIdle()) emptied?.();
    pause = setTimeout(() => {
      state = "idle";
      pump();
    }, pauses.next());
    // Nothing is lost by ending before it is over.
    pause.unref();
  }

  function pump(): void {
    if (queue.length === 0 || writing !== undefined) return;
    if (state === "idle") dial();
    if (state !== "connected") return;
    const block = queue.shift();
    if (block === undefined) return;
    writing = block;
    socket?.write(block.bytes, (error) => {
      // A failed write is followed by "close", which counts the block.
      if (error || writing !== block) return;
      held -= block.bytes.length;
      writing = undefined;
      pauses.reset();
      if (isIdle()) emptied?.();
      pump();
    });
  }

  const isIdle = () => queue.length === 0 && writing === undefined && batch.length === 0;

  function flush(): void {
    if (batch.length === 0) return;
    queue.push({ bytes: Buffer.concat(batch), lines: batch.length / 2 });
    batch.length = 0;
    pump();
  }

  return {
    offer(line) {
      const size = line.length + lineBreak.length;
      if (held + size > limits.bufferBytes) return false;
      held += size;
      batch.push(line, lineBreak);
      return true;
    },
    flush,
    isIdle,
    async close(signal) {
      flush();
      if (!isIdle() && !signal.aborted) {
        await new Promise<void>((resolve) => {
          emptied = resolve;
          signal.addEventListener("abort", () => resolve(), { once: true });
        });
      }
      const left = (writing?.lines ?? 0) + queue.splice(0).reduce((sum, { lines }) => sum + lines, 0);
      writing = undefined;
      clearTimeout(pause);
      if (left > 0) {
        lost(left, "the dataplane stopped");
        socket?.destroy();
      } else socket?.destroySoon();
    },
  };
}
