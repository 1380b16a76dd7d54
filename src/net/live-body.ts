import type { ServerResponse } from "node:http";
import { errorReply, type HttpReply, type HttpRequest, type LiveBody } from "./exchange.js";
import type { Guard, Incidents } from "./incidents.js";
import { streamLimits } from "./limits.js";
import { openStreams } from "./open-streams.js";

export interface LiveBodiesOptions {
  readonly guard: Guard;
  readonly incidents: Incidents;
  /** How long a client may stop reading the rest of a body that has ended, in milliseconds. */
  readonly idleMs: number;
}

/** Sends the live bodies of a server. */
export interface LiveBodies {
  /** Starts the response; returns the error to send instead if too many are open. */
  send(response: ServerResponse, reply: HttpReply, body: LiveBody, request: HttpRequest): HttpReply | undefined;
  /** Ends all open bodies. */
  end(): void;
}

/** Memory overhead of a queued piece, in bytes. */
const pieceBytes = 512;
/** When TCP keepalive starts to probe a client that sends nothing. */
const keepAliveMs = 30_000;

const noPlace = errorReply("http.streams", {}, { headers: { "Retry-After": "5" } });

export function createLiveBodies({ guard, incidents, idleMs }: LiveBodiesOptions): LiveBodies {
  const open = new Set<() => void>();
  return {
    send(response, reply, body, request) {
      // Its `close` event may have been emitted already.
      if (response.destroyed) return undefined;
      const isHead = request.method === "HEAD";
      const leave = isHead ? () => {} : openStreams.enter(request.peer);
      if (typeof leave === "string") {
        incidents.refused(leave);
        return noPlace;
      }
      response.writeHead(reply.status, { ...reply.headers, Connection: "close" });
      if (isHead) {
        response.end();
        return undefined;
      }
      response.flushHeaders();
      response.socket?.setTimeout(0).setKeepAlive(true, keepAliveMs);
      let waiting = 0;
      let stop = () => {};
      function end(): void {
        if (response.writableEnded) return;
        response.socket?.setTimeout(idleMs);
        response.end();
      }
      open.add(end);
      response.once(
        "close",
        guard(() => {
          open.delete(end);
          leave();
          stop();
        }),
      );
      stop = body({
        send(piece) {
          if (response.writableEnded || response.destroyed) return;
          const size = Buffer.byteLength(piece) + pieceBytes;
          waiting += size;
          if (waiting > streamLimits.stream_queue.value) {
            incidents.refused("stream_queue");
            response.destroy();
            return;
          }
          response.write(piece, () => {
            waiting -= size;
          });
        },
        end,
      });
      return undefined;
    },
    end() {
      for (const end of open) end();
    },
  };
}
