import { createServer, type Socket } from "node:net";
import { UserError } from "../lib/errors.js";
import { bind } from "../net/listen.js";
import { parseRequestHead } from "./http-head.js";

export interface EchoServer {
  /** The port that was chosen, when 0 was asked for. */
  readonly port: number;
  /** Stops listening and cuts every connection. */
  close(): Promise<void>;
}

/** A client that neither reads the echo of its HTTP request nor closes loses the connection after this time. */
const lingerMs = 5000;
const backlog = 4096;

function answerHttp(socket: Socket, bytes: Buffer): void {
  socket.removeAllListeners("data");
  // Bytes that are still on their way are read and dropped: closing over unread bytes would reset the
  // connection and could take the echo with it.
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
    // A peer that sends without reading is not read from until it has taken what it sent.
    if (!socket.write(bytes)) socket.pause();
  });
  socket.on("drain", () => socket.resume());
  // A peer that has finished sending still gets everything back before we finish, too.
  socket.on("end", () => socket.end());
  socket.on("error", (error) => log(`TCP connection from ${peer} broke: ${error.message}`));
}

/** Starts the echo service on all interfaces. Throws UserError("port.echo") when the port cannot be had. */
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
