// Carries connections between Unix sockets and TCP, inside a node's network namespace: Unix sockets are files, so that
// the test and the node can both reach them. Runs without a loader, hence imports nothing of ours.
import net from "node:net";

/** The path of a Unix socket, or an address of the node. */
type End = { readonly path: string } | { readonly host: string; readonly port: number };

interface Order {
  readonly id: number;
  readonly from: End;
  readonly to: End;
}

process.on("message", ({ id, from, to }: Order) => {
  const server = net.createServer({ allowHalfOpen: true }, (client) => {
    const upstream = net.connect({ ...to, allowHalfOpen: true });
    for (const [one, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      one.on("error", () => other.destroy());
      one.on("close", () => other.destroySoon());
      one.pipe(other);
    }
  });
  server.on("error", (error) => process.send?.({ id, error: error.message }));
  server.listen(from, () => process.send?.({ id }));
});
process.on("disconnect", () => process.exit());
