import type { MethodDefinition, Server, ServerCredentials } from "@grpc/grpc-js";

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

/** What every discovery server of ours grants its clients. */
export const serverOptions = {
  "grpc.max_receive_message_length": 4 * 1024 * 1024,
  // A half-open connection would keep its Dataplane "Online" for hours.
  "grpc.keepalive_time_ms": 15_000,
  "grpc.keepalive_timeout_ms": 10_000,
} as const;

const closeMs = 1000;

/** Both families where the machine has IPv6; grpc-js, unlike node:net, doesn't fall back by itself. */
const anyHost = ["[::]", "0.0.0.0"];

/** Listens, or says why not; grpc-js reports a taken port only by its text. */
function bind(server: Server, address: string, credentials: ServerCredentials): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(address, credentials, (error, bound) => {
      if (error === null) resolve(bound);
      else reject(error);
    });
  });
}

/**
 * Listens on a port (0: any free one), on all interfaces unless a host is given; returns the port.
 * @throws when the port can't be bound
 */
export async function bindServer(
  server: Server,
  port: number,
  credentials: ServerCredentials,
  host?: string,
): Promise<number> {
  const hosts = host === undefined ? anyHost : [host];
  for (const [index, name] of hosts.entries()) {
    try {
      return await bind(server, `${name}:${port}`, credentials);
    } catch (error) {
      const noSuchFamily = error instanceof Error && /EAFNOSUPPORT|EADDRNOTAVAIL/.test(error.message);
      if (!noSuchFamily || index === hosts.length - 1) throw error;
    }
  }
  throw new Error("no host to listen on");
}

/** GOAWAY, then every stream's own end, and after a second the end of what is left. */
export async function closeServer(server: Server, streams: Iterable<() => void>): Promise<void> {
  const closed = new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
  for (const end of [...streams]) end();
  const forced = setTimeout(() => server.forceShutdown(), closeMs);
  await closed;
  clearTimeout(forced);
}
