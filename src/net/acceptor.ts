import { createServer, type Server, type Socket } from "node:net";
import type { Logger } from "../lib/logger.js";
import { grpcLimits } from "./grpc-limits.js";
import { createGuard, type Incidents, uncounted } from "./incidents.js";
import { bind } from "./listen.js";
import { openFilesLimit } from "./open-files.js";
import { inTurn } from "./turns.js";
import { addressKey, createWaitingRoom } from "./waiting-room.js";

/** A listening port whose connections are let in one after the other. */
export interface Acceptor {
  readonly port: number;
  /** Takes no new connection, and drops those that have not been let in. */
  close(): void;
  /** Drops every connection that is left. */
  destroy(): void;
}

/** What may be bound; see `grpcLimits`. */
export interface AcceptorLimits {
  /** How many connections of one address may be inside without having proved themselves. */
  readonly perAddress: number;
  /** The same for all addresses. */
  readonly inside: number;
  /** How many connections may not have proved themselves, inside or outside. */
  readonly unproved: number;
  /** How long a connection may be inside without proving itself, in milliseconds. */
  readonly openingMs: number;
}

export interface AcceptorOptions {
  /** 0: any free port. */
  readonly port: number;
  /** Default: all interfaces, IPv4 and IPv6. */
  readonly host?: string | undefined;
  /**
   * Takes a connection over; what it has sent so far waits in the socket. `proved` has to be called with its first valid
   * request; until then the connection counts against the limits.
   */
  readonly admit: (socket: Socket, proved: () => void) => void;
  /** A client that says nothing for this long is dropped. */
  readonly silentMs?: number;
  readonly limits?: Partial<AcceptorLimits>;
  readonly logger: Logger;
  readonly incidents?: Incidents;
}

const usualLimits: AcceptorLimits = {
  perAddress: grpcLimits.connections_per_address.value,
  inside: grpcLimits.opening_connections.value,
  unproved: grpcLimits.waiting_connections.value,
  openingMs: grpcLimits.opening_time.value,
};

/** When more than this many wait for us, the system lets others try again a second later; it may allow fewer. */
const backlog = 4096;

/** What else the process has open: its program, timers, a database's connections. */
const otherFiles = 64;

let connections = 0;
let told = false;

/**
 * The system turns connections away without a word to us when no more files may be open, and clients just see them end:
 * said before it comes to that, once, until there is room again.
 */
function noteConnections(change: 1 | -1, limit: number, logger: Logger): void {
  connections += change;
  const room = Math.max(1, limit - otherFiles);
  if (connections < room * 0.6) told = false;
  if (told || connections < room * 0.8) return;
  told = true;
  logger.error(
    "connections come near the number of files that may be open; beyond it proxies are turned away: raise LimitNOFILE (systemd) or ulimit -n",
    { connections, openFiles: limit },
  );
}

/** Unlike Node, falls back to IPv4 only where there is no IPv6, and not when another program has the port there. */
async function listenAnywhere(server: Server, port: number): Promise<number> {
  try {
    return await bind(server, { port, host: "::", backlog });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "EAFNOSUPPORT" && code !== "EADDRNOTAVAIL") throw error;
    return bind(server, { port, host: "0.0.0.0", backlog });
  }
}

/**
 * Opens a port. A connection is let in when its first bytes are there: what it costs us, the handshake above all, then
 * follows at once and is paced. A handshake with an RSA key takes a millisecond, and a thousand clients may come together.
 * Of each address only so many may be inside before they have proved themselves; the others wait, unread.
 * @throws NodeJS.ErrnoException when the port can't be bound
 */
export async function openAcceptor(options: AcceptorOptions): Promise<Acceptor> {
  const { port, host, admit, silentMs = 10_000, logger, incidents = uncounted } = options;
  const openFiles = openFilesLimit() ?? Number.POSITIVE_INFINITY;
  const limits = { ...usualLimits, ...options.limits };
  const mostUnproved = Math.max(1, Math.min(limits.unproved, Math.floor(openFiles / 2)));
  const connected = new Set<Socket>();
  const guard = createGuard(logger, incidents);
  const waitingRoom = createWaitingRoom<Socket>({
    perAddress: limits.perAddress,
    inside: limits.inside,
    most: mostUnproved,
    evict(socket) {
      incidents.refused("waiting_connections");
      socket.destroy();
    },
    delayed: (address) => incidents.refused(address ? "connections_per_address" : "opening_connections"),
    enter: (socket) => inTurn(() => letIn(socket)),
  });

  const letIn = guard((socket: Socket) => {
    if (socket.destroyed) return;
    socket.setTimeout(0);
    const timer = setTimeout(() => {
      incidents.refused("opening_time");
      socket.destroy();
    }, limits.openingMs);
    socket.once("close", () => clearTimeout(timer));
    admit(socket, () => {
      clearTimeout(timer);
      waitingRoom.leave(socket);
    });
  }, destroy);

  function arrived(socket: Socket): void {
    connected.add(socket);
    noteConnections(1, openFiles, logger);
    socket.on("error", () => socket.destroy());
    socket.once("close", () => {
      noteConnections(-1, openFiles, logger);
      connected.delete(socket);
      waitingRoom.leave(socket);
    });
    socket.setTimeout(silentMs, () => {
      if (waitingRoom.isSilent(socket)) socket.destroy();
    });
    socket.once("readable", () => {
      // Without a byte, it ended before it began.
      if (socket.readableLength > 0) waitingRoom.spoke(socket);
      else socket.destroy();
    });
    waitingRoom.add(socket, addressKey(socket.remoteAddress));
  }

  const server = createServer(guard(arrived, destroy));
  const bound = await (host === undefined ? listenAnywhere(server, port) : bind(server, { port, host, backlog }));
  server.on("error", (error) => logger.error("a connection could not be accepted", { error }));
  return {
    port: bound,
    close() {
      server.close();
      for (const socket of waitingRoom.outside()) socket.destroy();
    },
    destroy() {
      for (const socket of connected) socket.destroy();
    },
  };
}

const destroy = (socket: Socket) => void socket.destroy();
