import net from "node:net";

/**
 * Each process has its own block of ports below those that the kernel assigns to outgoing connections and to port 0: a
 * port from there could be taken again before the program under test binds it.
 */
const blockSize = 100;
const blocks = 200;
const firstOf = (block: number) => 11_000 + (block % blocks) * blockSize;

/** The block's first port; that one is held as long as this process runs, so that no other process has the block. */
let first: number | undefined;
let next = 1;

/** Holds a port without keeping the process alive. */
function hold(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = net.createServer((socket) => socket.destroy()).once("error", () => resolve(false));
    server.listen({ port, host: "0.0.0.0", exclusive: true }, () => resolve(true)).unref();
  });
}

let choosing: Promise<number> | undefined;

/** A block that no other process has; process IDs alone repeat modulo the number of blocks. */
async function chooseBlock(): Promise<number> {
  for (let attempt = 0; attempt < blocks; attempt++) {
    const port = firstOf(process.pid + attempt);
    if (await hold(port)) return port;
  }
  throw new Error(`no block of ports from ${firstOf(0)} on is free`);
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = net.createServer().once("error", () => resolve(false));
    server.listen({ port, host: "0.0.0.0", exclusive: true }, () => server.close(() => resolve(true)));
  });
}

/** A free port of this process's block, never the same one twice. @throws when the block is used up */
export async function freePort(): Promise<number> {
  choosing ??= chooseBlock();
  first ??= await choosing;
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
