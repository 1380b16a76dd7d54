import type { ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import type { Guard } from "./incidents.js";
import { inTurn } from "./turns.js";

interface Waiting {
  readonly response: ServerResponse;
  readonly begin: () => void;
}

/** The unanswered requests of a connection. */
interface Line {
  /** The current response, or the last one. */
  current: ServerResponse;
  /** Requests received meanwhile. */
  readonly waiting: Waiting[];
  /** Too many were received: further requests are ignored. */
  full: boolean;
}

/**
 * How long a connection with too many requests is kept open: a client that is disconnected at once reconnects at once,
 * and its input costs ten milliseconds each time. Some MB that Node has already read are kept in memory as long.
 */
const lingerMs = 250;

export interface PipeliningOptions {
  /** Maximum unanswered requests of a connection; one more closes it. */
  readonly most: number;
  readonly guard: Guard;
  readonly refused: () => void;
}

/**
 * Serves the requests of a connection one at a time, in the order of its responses: one read may bring a thousand
 * requests, whose responses would otherwise be held for a client that never reads.
 * @returns a function to call with each request's response and the function that starts serving it
 */
export function createPipelining({ most, guard, refused }: PipeliningOptions) {
  const lines = new WeakMap<Duplex, Line>();

  function serveNext(socket: Duplex, line: Line): void {
    inTurn(
      guard(() => {
        const next = line.waiting.shift();
        if (next === undefined) return;
        if (socket.destroyed) {
          line.waiting.length = 0;
          return;
        }
        line.current = next.response;
        if (line.waiting.length > 0) continueAfterCurrent(socket, line);
        next.begin();
      }),
    );
  }

  /** Continues once the response was sent, or the client is gone. */
  function continueAfterCurrent(socket: Duplex, line: Line): void {
    line.current.once("close", () => serveNext(socket, line));
  }

  return (socket: Duplex, response: ServerResponse, begin: () => void): void => {
    // Node still parses what it has read of a closed connection.
    if (socket.destroyed) return;
    const line = lines.get(socket);
    if (line?.full === true) return;
    if (line === undefined || (line.current.closed && line.waiting.length === 0)) {
      if (line === undefined) lines.set(socket, { current: response, waiting: [], full: false });
      else line.current = response;
      begin();
      return;
    }
    if (line.waiting.length + 1 >= most) {
      refused();
      line.full = true;
      socket.pause();
      setTimeout(() => socket.destroy(), lingerMs);
      return;
    }
    line.waiting.push({ response, begin });
    if (line.waiting.length === 1) continueAfterCurrent(socket, line);
  };
}
