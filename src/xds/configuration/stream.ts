import { randomUUID } from "node:crypto";
import { createPlacement } from "../../envoy/placement.js";
import type { Logger } from "../../lib/logger.js";
import { realTimers } from "../../lib/timers.js";
import type { Frame } from "../../net/grpc-frame.js";
import { type CallError, callError, type GrpcCall, type GrpcListener } from "../../net/grpc-server.js";
import type { Incidents } from "../../net/incidents.js";
import type { Node } from "../decode.js";
import { LimitExceeded } from "../limits.js";
import { parseNodeId } from "../node.js";
import type { StreamObserver } from "../observer.js";
import type { Response } from "../response.js";
import type { Client, Proxies } from "./proxies.js";
import { createRetries } from "./retries.js";
import { createSession, type Request } from "./session.js";

/** A request, decoded from one of the two protocols. */
export interface DiscoveryMessage {
  readonly node: Node;
  readonly typeUrl: string;
  /** Undefined when no response is needed: the type is not served, or the request is stale. */
  readonly request: Request | undefined;
}

/** The protocol of one stream: decodes requests and encodes responses. */
export interface Protocol {
  /** The message type of its requests. */
  readonly requestName: string;
  /**
   * @param first whether this is the request that identifies the client
   * @throws LimitExceeded when the request exceeds a limit
   * @throws Error when the bytes are not a valid request
   */
  read(bytes: Buffer, first: boolean): DiscoveryMessage;
  write(response: Response): Frame;
}

interface StreamOptions {
  readonly proxies: Proxies;
  readonly observer: StreamObserver;
  readonly logger: Logger;
  readonly incidents: Incidents;
  readonly now: () => Date;
}

/** The most listener names in one log line. */
const mostLogged = 20;

/** Serves one aggregated stream. */
export function serveStream(
  call: GrpcCall,
  protocol: Protocol,
  { proxies, observer, logger, incidents, now }: StreamOptions,
): GrpcListener {
  const id = randomUUID();
  let client: Client | undefined;

  const session = createSession({
    send(response) {
      observer.sent(id, response.kind, now());
      // The socket's queue is bounded: the next response of a type is only sent after an acknowledgement.
      call.write(protocol.write(response));
    },
    acknowledged: (kind) => observer.acknowledged(id, kind, now()),
    refused(kind, reason, repeated) {
      if (!repeated) retries.restart();
      logger[repeated ? "debug" : "error"]("proxy refused configuration", { ...client?.id, type: kind, reason });
      observer.rejected(id, kind, now(), reason);
    },
  });

  const retries = createRetries(session, realTimers);
  let refusals = session.refusals();

  /** Reports new rejections, and those that a new configuration resolved. */
  function report(): void {
    retries.follow();
    const present = session.refusals();
    if (present === refusals) return;
    refusals = present;
    observer.refusing(id, present, now());
  }

  function refuse({ code, details }: CallError): void {
    logger.info("discovery stream refused", { peer: call.peer(), ...client?.id, reason: details });
    call.end(code, details);
  }

  /** Closes the stream of a client that exceeds a limit. */
  function within(work: () => void): void {
    try {
      work();
    } catch (error) {
      if (!(error instanceof LimitExceeded)) throw error;
      incidents.refused(error.limit);
      refuse(error.ending);
    }
  }

  function decode(bytes: Buffer): DiscoveryMessage | undefined {
    try {
      return protocol.read(bytes, client === undefined);
    } catch (error) {
      if (error instanceof LimitExceeded) throw error;
      refuse(callError("xds.message", { expected: protocol.requestName }));
      return undefined;
    }
  }

  function handle(bytes: Buffer): void {
    const message = decode(bytes);
    if (message === undefined) return;
    if (message.typeUrl === "") {
      refuse(callError("xds.no-type"));
      return;
    }
    if (client === undefined) {
      const proxy = parseNodeId(message.node.id);
      if (proxy === undefined) {
        refuse(callError("xds.node-id", { message: "request", id: message.node.id.slice(0, 200) }));
        return;
      }
      const placement = createPlacement(message.node);
      proxies.admit(proxy, placement);
      const since = now();
      client = {
        id: proxy,
        since,
        placement,
        get configured() {
          return session.configured;
        },
        get resumed() {
          return session.resumed;
        },
        configure(config) {
          session.configure(config);
          report();
        },
        retry: () => retries.retry(),
        compareListeners(present) {
          const comparison = session.compareListeners(present);
          const { fresh } = comparison;
          if (fresh.length > 0) {
            const listeners = fresh.slice(0, mostLogged);
            logger.error("proxy lost listeners that it had acknowledged", { ...proxy, count: fresh.length, listeners });
          }
          report();
          return comparison;
        },
        delivery: session.delivery,
        deliveries: session.deliveries,
      };
      call.proved();
      observer.opened({ id, ...proxy, at: since });
      proxies.join(client);
    }
    if (message.request === undefined) {
      logger.debug("nothing to answer", { ...client.id, typeUrl: message.typeUrl });
      return;
    }
    session.request(message.request);
    report();
  }

  return {
    message: (bytes) => within(() => handle(bytes)),
    closed() {
      retries.stop();
      if (client === undefined) return;
      proxies.leave(client);
      observer.closed(id, now());
    },
  };
}
