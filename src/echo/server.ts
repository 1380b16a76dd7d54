import { createServer, type Socket } from "node:net";
import { UserError } from "../lib/errors.js";
import { bind } from "../net/listen.js";
import { parseRequestHead } from "./http-head.js";

export interface EchoServer {
  /** The port in use; chosen by the kernel when 0 was requested. */
  readonly port: number;
  /** Stops listening and closes every connection. */
  close(): Promise<void>;
}

/** A client that neither reads the echo of its HTTP request nor closes is disconnected after this time. */
const lingerMs = 5000;
const backlog = 4096;

function answerHttp(socket: Socket, bytes: Buffer): void {
  socket.removeAllListeners("data");
  // Bytes that still arrive are read and dropped: closing a socket with unread bytes would reset the connection and
  // could lose the echo.
  socket.resume();
  socket.setTimeout(lingerMs, () => socket.destroy());
  socket.end(bytes);
}

function serve(socket: Socket, log: (line: string) => void): void {
  const peer = `${socket.remoteAddress ?? "unknown"}:${socket.remotePort ?? 0}`;
  socket.setKeepAlive(true, 60_000);
  socket.setNoDelay(true);
  socket.on("data", (bytes: Buffer) => {
    const request = parseRequestHead(bytes);
    if (request !== undefined) {
      log(`${request.protocol} connection: ${request.method} ${request.url}`);
      answerHttp(socket, bytes);
      return;
    }
    log(`TCP connection: ${bytes.length} bytes from ${peer}`);
    // Backpressure: a peer that does not read its echo is not read from.
    if (!socket.write(bytes)) socket.pause();
  });
  socket.on("drain", () => socket.resume());
  // A peer that has finished sending still gets its whole echo before we close.
  socket.on("end", () => socket.end());
  socket.on("error", (error) => log(`TCP connection from ${peer} broke: ${error.message}`));
}

/** Starts the echo service on all interfaces. Throws UserError("port.echo") when the port is not available. */
export async function startEcho(port: number, log: (line: string) => void): Promise<EchoServer> {
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    serve(socket, log);
  });
  const bound = await bind(server, { port, backlog }).catch((error: unknown) => {
    throw UserError.of("port.echo", { port, reason: error });
  });
  server.on("error", (error) => log(`a connection could not be accepted: ${error.message}`));
  return {
    port: bound,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}
