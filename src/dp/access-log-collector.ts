import { connect, type Socket } from "node:net";
import { backoff } from "../lib/deadline.js";

/** A collector's address. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

export interface CollectorLimits {
  /** Most bytes of lines to buffer, including those being written. */
  readonly bufferBytes: number;
  readonly connectMs: number;
  /** Pause before the first reconnection attempt, and the longest one before each later attempt. */
  readonly firstPauseMs: number;
  readonly longestPauseMs: number;
}

export const collectorLimits: CollectorLimits = {
  bufferBytes: 1024 * 1024,
  connectMs: 5000,
  firstPauseMs: 200,
  longestPauseMs: 10_000,
};

/** A long-lived TCP connection to a collector and the lines buffered for it. */
export interface Collector {
  /** Buffers a line, which is copied at the next `flush`. Returns false when the buffer is full. */
  offer(line: Buffer): boolean;
  /** Sends the buffered lines. */
  flush(): void;
  /** True when nothing is buffered. */
  isIdle(): boolean;
  /** Sends what is buffered until the signal aborts, then closes. */
  close(signal: AbortSignal): Promise<void>;
}

/**
 * The state of the connection:
 *   idle        no connection; the next line connects
 *   connecting  the connection is being established
 *   connected   lines are sent, one block at a time
 *   pausing     the connection was lost and it is too early to reconnect
 */
type State = "idle" | "connecting" | "connected" | "pausing";

interface Block {
  readonly bytes: Buffer;
  readonly lines: number;
}

const lineBreak = Buffer.from("\n");

/** `lost` is called with the number of buffered lines that will not be delivered, and the reason. */
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
  /** Passed to the kernel, which has not accepted it yet. Never sent again, because its beginning may have arrived. */
  let writing: Block | undefined;
  let held = 0;
  let emptied: (() => void) | undefined;
  const pauses = backoff({ first: limits.firstPauseMs, max: limits.longestPauseMs });

  function dial(): void {
    state = "connecting";
    // The name is resolved for each connection, because a collector may move.
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
    // Collectors send nothing that matters, but without reading from the socket we would not notice that it was closed.
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
    // The process may exit during the pause: nothing is lost by that.
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
