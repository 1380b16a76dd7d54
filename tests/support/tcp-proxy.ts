import net from "node:net";

/** A proxy between a client and a server on 127.0.0.1 that can simulate network failures. */
export interface TcpProxy {
  readonly port: number;
  /** The number of open connections. */
  readonly connections: number;
  /** Resets connections: all of them, or each with the given probability. */
  cut(chosen?: () => boolean): void;
  /**
   * From now on the open connections carry nothing but stay open, whatever the server does, while new ones work: like a
   * load balancer or NAT that has lost its table.
   */
  deafen(): void;
  /** While set, nothing gets through and neither side is notified, as when a firewall drops packets. */
  silent: boolean;
  /** While set, new connections are reset. */
  closed: boolean;
  close(): Promise<void>;
}

/** @param filter creates a filter of the server's data for each connection; it may hold bytes back */
export async function startTcpProxy(target: number, filter?: () => (chunk: Buffer) => Buffer): Promise<TcpProxy> {
  const pairs = new Set<readonly [net.Socket, net.Socket]>();
  const deaf = new WeakSet<readonly [net.Socket, net.Socket]>();
  const state = { silent: false, closed: false };

  const server = net.createServer((client) => {
    client.on("error", () => {});
    if (state.closed) {
      client.resetAndDestroy();
      return;
    }
    const upstream = net.connect(target, "127.0.0.1");
    const pair = [client, upstream] as const;
    pairs.add(pair);
    const rewrite = filter?.() ?? ((chunk: Buffer) => chunk);
    upstream.on("error", () => {});
    client.setNoDelay(true).on("data", (chunk) => {
      if (!state.silent && !deaf.has(pair)) upstream.write(chunk);
    });
    upstream.setNoDelay(true).on("data", (chunk) => {
      if (!state.silent && !deaf.has(pair)) client.write(rewrite(chunk));
    });
    for (const socket of pair) {
      socket.on("close", () => {
        if (socket === upstream && deaf.has(pair)) return;
        pairs.delete(pair);
        for (const end of pair) end.destroy();
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));

  function cut(chosen: () => boolean = () => true): void {
    for (const pair of pairs) if (chosen()) for (const end of pair) end.resetAndDestroy();
  }

  return Object.assign(state, {
    port: (server.address() as net.AddressInfo).port,
    get connections() {
      return pairs.size;
    },
    cut,
    deafen() {
      for (const pair of pairs) deaf.add(pair);
    },
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      cut();
      await closed;
    },
  });
}

/**
 * Passes all of PostgreSQL's protocol on except notifications, like a pooler that runs each transaction on another
 * connection: LISTEN succeeds, but nothing ever arrives.
 */
export function withoutNotifications(): (chunk: Buffer) => Buffer {
  let rest = Buffer.alloc(0);
  return (chunk) => {
    rest = Buffer.concat([rest, chunk]);
    const passed: Buffer[] = [];
    while (rest.length >= 5) {
      const size = 1 + rest.readUInt32BE(1);
      if (rest.length < size) break;
      if (rest[0] !== "A".charCodeAt(0)) passed.push(rest.subarray(0, size));
      rest = rest.subarray(size);
    }
    return Buffer.concat(passed);
  };
}
