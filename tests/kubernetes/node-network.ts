import { fork } from "node:child_process";
import { once } from "node:events";
import net from "node:net";
import path from "node:path";
import { fileURLToPath } from "node:url";

/** Connects this process with addresses that exist only inside a node. */
export interface NodeNetwork {
  /** Opens a port of this machine's 127.0.0.1 that leads to an address in the node. @returns the port */
  reach(host: string, port: number): Promise<number>;
  /** Lets the node's processes and pods reach a server of this process, as `nodeAddress:port`. */
  expose(port: number, localPort: number): Promise<void>;
  stop(): Promise<void>;
}

/** The node's address, which pods reach. */
export const nodeAddress = "192.168.77.1";

const relayFile = path.join(path.dirname(fileURLToPath(import.meta.url)), "relay.ts");

function pump(client: net.Socket, upstream: net.Socket): void {
  for (const [one, other] of [
    [client, upstream],
    [upstream, client],
  ] as const) {
    one.on("error", () => other.destroy());
    one.on("close", () => other.destroySoon());
    one.pipe(other);
  }
}

async function listen(server: net.Server, place: net.ListenOptions): Promise<void> {
  server.listen(place);
  await once(server, "listening");
}

/** @param pid of a process in the node; @param directory for the Unix sockets, whose paths may have 107 bytes */
export function nodeNetwork(pid: number, directory: string): NodeNetwork {
  const relay = fork(relayFile, [], {
    execPath: "nsenter",
    execArgv: [`--net=/proc/${pid}/ns/net`, process.execPath],
    stdio: ["ignore", "ignore", "pipe", "ipc"],
  });
  const ended = once(relay, "exit");
  let errors = "";
  relay.stderr?.on("data", (chunk: Buffer) => {
    errors += chunk.toString();
  });
  const servers: net.Server[] = [];
  const sockets = new Set<net.Socket>();
  let orders = 0;

  function order(from: object, to: object): Promise<void> {
    const id = ++orders;
    return new Promise((resolve, reject) => {
      const answered = (message: unknown) => {
        const { id: of, error } = message as { id: number; error?: string };
        if (of !== id) return;
        relay.off("message", answered);
        if (error === undefined) resolve();
        else reject(new Error(`the node's relay: ${error}`));
      };
      relay.on("message", answered);
      relay.once("exit", () => reject(new Error(`the node's relay ended: ${errors}`)));
      relay.send({ id, from, to });
    });
  }

  function serve(to: net.NetConnectOpts): net.Server {
    const server = net.createServer({ allowHalfOpen: true }, (client) => {
      const upstream = net.connect({ ...to, allowHalfOpen: true });
      for (const socket of [client, upstream]) {
        sockets.add(socket);
        socket.on("close", () => sockets.delete(socket));
      }
      pump(client, upstream);
    });
    servers.push(server);
    return server;
  }

  return {
    async reach(host, port) {
      const socket = path.join(directory, `reach-${orders}.sock`);
      await order({ path: socket }, { host, port });
      const server = serve({ path: socket });
      await listen(server, { host: "127.0.0.1", port: 0 });
      return (server.address() as net.AddressInfo).port;
    },
    async expose(port, localPort) {
      const socket = path.join(directory, `expose-${orders}.sock`);
      await listen(serve({ host: "127.0.0.1", port: localPort }), { path: socket });
      await order({ host: "0.0.0.0", port }, { path: socket });
    },
    async stop() {
      for (const socket of sockets) socket.destroy();
      for (const server of servers) server.close();
      relay.kill("SIGKILL");
      await ended;
    },
  };
}
