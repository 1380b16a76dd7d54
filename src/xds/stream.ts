import { randomUUID } from "node:crypto";
import { type ServerDuplexStream, status } from "@grpc/grpc-js";
import type { Logger } from "../lib/logger.js";
import { parseNodeId } from "./node.js";
import type { StreamObserver } from "./observer.js";
import type { Client, Proxies } from "./proxies.js";
import type { Response } from "./response.js";
import { createSession, type Request } from "./session.js";
import type { Node } from "./wire.js";

export type DiscoveryCall = ServerDuplexStream<Buffer, Buffer>;

/** A request as it came by one of the two protocols. */
export interface DiscoveryMessage {
  readonly node: Node;
  readonly typeUrl: string;
  /** Undefined when there is nothing to answer: a type we don't serve, or a request that is out of date. */
  readonly request: Request | undefined;
}

/** How one stream speaks: what the session says and hears, on the wire. */
export interface Protocol {
  /** What it calls its requests. */
  readonly requestName: string;
  /** @throws when the bytes are not such a request */
  read(bytes: Buffer): DiscoveryMessage;
  write(response: Response): Buffer;
}

interface Surroundings {
  readonly proxies: Proxies;
  readonly observer: StreamObserver;
  readonly logger: Logger;
  readonly now: () => Date;
}

/** Serves one aggregated stream until it ends; returns how to end it from our side. */
export function serveStream(
  call: DiscoveryCall,
  protocol: Protocol,
  { proxies, observer, logger, now }: Surroundings,
): () => void {
  const id = randomUUID();
  let client: Client | undefined;
  let ended = false;

  const session = createSession({
    send(response) {
      observer.sent(id, response.kind, now());
      // What waits in the socket's queue is bounded: a type's next response follows its acknowledgement.
      call.write(protocol.write(response));
    },
    acknowledged: (kind) => observer.acknowledged(id, kind, now()),
    refused(kind, reason) {
      logger.error("proxy refused configuration", { ...client?.id, type: kind, reason });
      observer.rejected(id, kind, now(), reason);
    },
  });

  let refusals = session.refusals();

  /** Tells of refusals that came, and of those that a new configuration has settled. */
  function report(): void {
    const present = session.refusals();
    if (present === refusals) return;
    refusals = present;
    observer.refusing(id, present, now());
  }

  function leave(): void {
    if (ended) return;
    ended = true;
    if (client === undefined) return;
    proxies.leave(client);
    observer.closed(id, now());
  }

  function refuse(details: string): void {
    logger.info("discovery stream refused", { peer: call.getPeer(), reason: details });
    leave();
    call.emit("error", { code: status.INVALID_ARGUMENT, details });
  }

  call.on("data", (bytes: Buffer) => {
    if (ended) return;
    let message: DiscoveryMessage;
    try {
      message = protocol.read(bytes);
    } catch {
      refuse(`the message is not a ${protocol.requestName}`);
      return;
    }
    if (message.typeUrl === "") {
      refuse("type_url is required on an aggregated stream");
      return;
    }
    if (client === undefined) {
      const proxy = parseNodeId(message.node.id);
      if (proxy === undefined) {
        refuse(
          `the first request must carry a node id of the form <mesh>.<name>, not "${message.node.id.slice(0, 200)}"`,
        );
        return;
      }
      const since = now();
      client = {
        id: proxy,
        since,
        tokenPath: message.node.tokenPath,
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
        delivery: session.delivery,
        deliveries: session.deliveries,
      };
      observer.opened({ id, ...proxy, at: since });
      proxies.join(client);
    }
    if (message.request === undefined) {
      logger.debug("nothing to answer", { ...client.id, typeUrl: message.typeUrl });
      return;
    }
    session.request(message.request);
    report();
  });
  call.on("end", () => {
    leave();
    call.end();
  });
  call.on("cancelled", leave);
  call.on("close", leave);
  // grpc-js reports a stream that broke here; it has ended, and nothing else is concerned.
  call.on("error", leave);

  return () => {
    if (ended) return;
    leave();
    call.emit("error", { code: status.UNAVAILABLE, details: "the control plane is shutting down" });
  };
}
