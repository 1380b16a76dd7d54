import type { ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import type { Guard } from "./incidents.js";
import { inTurn } from "./turns.js";

interface Waiting {
  readonly response: ServerResponse;
  readonly begin: () => void;
}

/** What a connection has asked for and was not answered yet. */
interface Line {
  /** The answer that is made, or was made last. */
  current: ServerResponse;
  /** Requests that came meanwhile. */
  readonly waiting: Waiting[];
  /** Too many came: what comes now is not served any more. */
  full: boolean;
}

/**
 * How long a connection with too many requests is kept: a client that is closed at once comes again at once, and what it
 * has sent costs ten milliseconds each time. What Node has read of it already, some MB, is kept as long.
 */
const lingerMs = 250;

export interface PipeliningOptions {
  /** How many requests of a connection may be unanswered; one more costs it the connection. */
  readonly most: number;
  readonly guard: Guard;
  readonly refused: () => void;
}

/**
 * Serves the requests of a connection one after the other, as it wants its answers: a thousand requests come in what is
 * read at once, and their answers would wait for a client that never reads.
 * @returns called with each request, and with what begins to serve it
 */
export function createPipelining({ most, guard, refused }: PipeliningOptions) {
  const lines = new WeakMap<Duplex, Line>();

  function goOn(socket: Duplex, line: Line): void {
    inTurn(
      guard(() => {
        const next = line.waiting.shift();
        if (next === undefined) return;
        if (socket.destroyed) {
          line.waiting.length = 0;
          return;
        }
        line.current = next.response;
        if (line.waiting.length > 0) followUp(socket, line);
        next.begin();
      }),
    );
  }

  /** The answer is through, or nobody is left to take it. */
  function followUp(socket: Duplex, line: Line): void {
    line.current.once("close", () => goOn(socket, line));
  }

  return (socket: Duplex, response: ServerResponse, begin: () => void): void => {
    // Node goes on with what it has read of a connection that is closed already.
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
    if (line.waiting.length === 1) followUp(socket, line);
  };
}
