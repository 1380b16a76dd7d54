import {
  type MethodDefinition,
  type Server,
  type ServerCredentials,
  ServerInterceptingCall,
  type ServerInterceptor,
  type ServerOptions,
} from "@grpc/grpc-js";
import type { Logger } from "../lib/logger.js";
import { type Acceptor, openAcceptor } from "../net/acceptor.js";
import { inTurn } from "../net/turns.js";

const identity = (bytes: Buffer) => bytes;

/**
 * A method with a stream in both directions, `/package.Service/Method`. Messages stay bytes, so that one that does not
 * decode is our stream's matter, not the transport's.
 */
export const bytesStream = (path: string): MethodDefinition<Buffer, Buffer> => ({
  path,
  requestStream: true,
  responseStream: true,
  requestSerialize: identity,
  requestDeserialize: identity,
  responseSerialize: identity,
  responseDeserialize: identity,
});

/** Messages are handled in their turn, however many streams have one: the next of a stream is read after that. */
const paced: ServerInterceptor = (_method, call) =>
  new ServerInterceptingCall(call, {
    start: (next) => next({ onReceiveMessage: (message, handle) => inTurn(() => handle(message)) }),
  });

/** What every discovery server of ours grants its clients. */
export const serverOptions: ServerOptions = {
  "grpc.max_receive_message_length": 4 * 1024 * 1024,
  // A half-open connection would keep its Dataplane "Online" for hours.
  "grpc.keepalive_time_ms": 15_000,
  "grpc.keepalive_timeout_ms": 10_000,
  // Books on every connection, stream and message, for a service that we don't offer.
  "grpc.enable_channelz": 0,
  interceptors: [paced],
};

const closeMs = 1000;

export interface ServerBinding {
  /** 0: any free port. */
  readonly port: number;
  /** Default: all interfaces, IPv4 and IPv6. */
  readonly host?: string | undefined;
  readonly credentials: ServerCredentials;
  readonly logger: Logger;
}

/**
 * Lets clients of a port in.
 * @throws when the port can't be bound, or the certificate can't be used
 */
export async function bindServer(server: Server, { credentials, ...binding }: ServerBinding): Promise<Acceptor> {
  const injector = server.createConnectionInjector(credentials);
  return openAcceptor({ ...binding, admit: (socket) => injector.injectConnection(socket) });
}

/** GOAWAY, then every stream's own end, and after a second the end of what is left. */
export async function closeServer(server: Server, acceptor: Acceptor, streams: Iterable<() => void>): Promise<void> {
  acceptor.close();
  const closed = new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
  for (const end of [...streams]) end();
  const forced = setTimeout(() => server.forceShutdown(), closeMs);
  await closed;
  clearTimeout(forced);
  // gRPC knows nothing of those that are in the middle of their handshake.
  acceptor.destroy();
}
