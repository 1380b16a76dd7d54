import { createServer, type Server, type Socket } from "node:net";
import type { Logger } from "../lib/logger.js";
import { grpcLimits } from "./grpc-limits.js";
import { createGuard, type Incidents, uncounted } from "./incidents.js";
import { bind } from "./listen.js";
import { openFilesLimit } from "./open-files.js";
import { inTurn } from "./turns.js";
import { addressKey, createWaitingRoom } from "./waiting-room.js";

/** A listening port that admits its connections one after another. */
export interface Acceptor {
  readonly port: number;
  /** Stops listening and closes the connections that were not admitted. */
  close(): void;
  /** Closes every remaining connection. */
  destroy(): void;
}

/** Limits on unproven connections; the defaults are in `grpcLimits`. */
export interface AcceptorLimits {
  /** Admitted connections of one address that have not sent a valid request yet. */
  readonly perAddress: number;
  /** The same, over all addresses. */
  readonly inside: number;
  /** All connections without a valid request, admitted or waiting. */
  readonly unproved: number;
  /** How long an admitted connection may take to send a valid request, in milliseconds. */
  readonly openingMs: number;
}

export interface AcceptorOptions {
  /** 0: any free port. */
  readonly port: number;
  /** Default: all interfaces, IPv4 and IPv6. */
  readonly host?: string | undefined;
  /**
   * Takes over an admitted connection; the bytes received so far are still in the socket. Call `proved` on its first
   * valid request: until then the connection counts against the limits.
   */
  readonly admit: (socket: Socket, proved: () => void) => void;
  /** A client that sends nothing for this long is disconnected. Milliseconds. */
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

/** Length of the accept queue; beyond it the kernel makes clients retry a second later. The kernel may cap it. */
const backlog = 4096;

/** Reserve for other file descriptors of the process: its executable, timers, database connections. */
const otherFiles = 64;

let connections = 0;
let warned = false;

/**
 * When the process runs out of file descriptors, the kernel closes new connections without reporting it to us, and
 * clients just see them end. So this warns before that happens, and not again until there is room.
 */
function noteConnections(change: 1 | -1, limit: number, logger: Logger): void {
  connections += change;
  const room = Math.max(1, limit - otherFiles);
  if (connections < room * 0.6) warned = false;
  if (warned || connections < room * 0.8) return;
  warned = true;
  logger.warn(
    "the process is close to its limit of open files, beyond which it rejects connections: raise LimitNOFILE (systemd) or ulimit -n",
    { connections, openFiles: limit },
  );
}

/** Unlike Node, falls back to IPv4 only where there is no IPv6, and not when the IPv6 port is in use. */
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
 * Opens a port. A connection is admitted once its first bytes have arrived, so that its cost to us, mainly the TLS
 * handshake, follows at once and is paced. A handshake with an RSA key takes a millisecond, and a thousand clients may
 * connect together. Each address may have only so many unproven connections admitted; the others wait, unread.
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
      // Readable without data: the client closed the connection before it sent anything.
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
