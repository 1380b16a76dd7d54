import net from "node:net";

/**
 * Each process has its own block of ports below those that the kernel assigns to outgoing connections and to port 0: a
 * port from there could be taken again before the program under test binds it.
 */
const blockSize = 100;
const first = 11_000 + (process.pid % 200) * blockSize;
let next = 0;

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = net.createServer().once("error", () => resolve(false));
    server.listen({ port, host: "0.0.0.0", exclusive: true }, () => server.close(() => resolve(true)));
  });
}

/** A free port of this process's block, never the same one twice. */
export async function freePort(): Promise<number> {
  while (next < blockSize) {
    const port = first + next++;
    if (await isFree(port)) return port;
  }
  throw new Error(`no port from ${first} to ${first + blockSize - 1} is free`);
}

/** Occupies a port of 127.0.0.1 and resets connections to it. @returns a function that frees it */
export async function occupy(port: number): Promise<() => Promise<void>> {
  const server = net.createServer((socket) => void socket.on("error", () => {}).resetAndDestroy());
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject).listen(port, "127.0.0.1", resolve);
  });
  return () => new Promise((resolve) => server.close(() => resolve()));
}
