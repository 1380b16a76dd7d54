import net from "node:net";

/** What became of one connection through a sidecar. Times are milliseconds of `performance.now()`. */
export interface Connection {
  readonly client: string;
  readonly service: string;
  /**
   * `new` says one line and closes; `long` stays open and echoes until it is broken or the traffic stops, and is `new`
   * when it failed before anybody answered. `plaintext` is one
   * without TLS that a sidecar has to close because mTLS is on.
   */
  readonly kind: "new" | "long" | "plaintext";
  readonly from: number;
  readonly to: number;
  /** Which instance answered; undefined when none did before the connection failed. */
  readonly server: string | undefined;
  /** Why it failed; undefined when it did not. */
  readonly error: string | undefined;
}

/** A stream of connections from one client's sidecar to one service whose instances greet with their name. */
export interface Flow {
  readonly client: string;
  readonly service: string;
  readonly port: number;
  readonly perSecond: number;
  readonly longLived: number;
  /** Whether an instance of this name belongs to the service. */
  readonly serves: (instance: string) => boolean;
}

export interface Traffic {
  /** How many long-lived connections are open and have echoed. */
  readonly longLived: () => number;
  /** Stops opening connections, waits for those in progress, and closes the long-lived ones. */
  stop(): Promise<void>;
}

/** How long a connection may be silent. Envoy's own connect timeout towards an instance is 5 s. */
const silenceMs = 10_000;
const echoEveryMs = 200;
/** A long-lived connection that failed is opened anew after this. */
const reopenAfterMs = 250;

const reasonOf = (error: Error & { code?: string }) => error.code ?? error.message;

/** Reads the greeting line; `heard` is called with it, and after that for each further line. */
function readLines(socket: net.Socket, heard: (line: string) => void): void {
  let rest = "";
  socket.on("data", (chunk) => {
    rest += chunk.toString();
    const lines = rest.split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) heard(line);
  });
}

interface Ended {
  readonly server: string | undefined;
  readonly error: string | undefined;
}

/** One connection that greets, echoes one line and closes. */
function short({ port, serves }: Flow, line: string): Promise<Ended> {
  return new Promise((resolve) => {
    let server: string | undefined;
    let error: string | undefined;
    let done = false;
    const socket = net.connect(port, "127.0.0.1");
    const finish = (reason?: string) => {
      if (!done) error = reason;
      done = true;
      socket.destroy();
    };
    readLines(socket, (text) => {
      if (server === undefined) {
        server = text;
        if (serves(text)) socket.write(`${line}\n`);
        else finish(`answered by ${text}`);
      } else finish(text === line ? undefined : `echoed ${JSON.stringify(text)} instead of ${JSON.stringify(line)}`);
    });
    socket.setTimeout(silenceMs, () => finish(`silent for ${silenceMs / 1000} s`));
    socket.on("error", (cause) => finish(reasonOf(cause)));
    socket.on("close", () => {
      finish(server === undefined ? "closed without a greeting" : "closed without an echo");
      resolve({ server, error });
    });
  });
}

/** One connection that echoes until it breaks, or `stop` aborts. */
function long({ port, serves }: Flow, stop: AbortSignal, established: (socket: net.Socket) => void): Promise<Ended> {
  return new Promise((resolve) => {
    let server: string | undefined;
    let error: string | undefined;
    let done = false;
    let sent = 0;
    let echoed = 0;
    const socket = net.connect(port, "127.0.0.1").setNoDelay(true);
    const finish = (reason?: string) => {
      if (!done) error = reason;
      done = true;
      socket.destroy();
    };
    const stopped = () => finish();
    stop.addEventListener("abort", stopped, { once: true });
    const speak = setInterval(() => {
      // The next line only after the last one came back, so that silence is noticed.
      if (server !== undefined && sent === echoed) socket.write(`${++sent}\n`);
    }, echoEveryMs);
    readLines(socket, (text) => {
      if (server === undefined) {
        server = text;
        if (!serves(text)) finish(`answered by ${text}`);
        return;
      }
      echoed += 1;
      if (text !== String(echoed)) finish(`echoed ${JSON.stringify(text)} instead of ${echoed}`);
      if (echoed === 1) established(socket);
    });
    socket.setTimeout(silenceMs, () => finish(`silent for ${silenceMs / 1000} s`));
    socket.on("error", (cause) => finish(reasonOf(cause)));
    socket.on("close", () => {
      clearInterval(speak);
      stop.removeEventListener("abort", stopped);
      finish(server === undefined ? "closed without a greeting" : "closed while open");
      resolve({ server, error });
    });
  });
}

/**
 * Opens connections of each flow at its steady rate, whether earlier ones are done or not, and keeps its long-lived
 * ones open; `record` is called for every end of a connection.
 */
export function startTraffic(flows: readonly Flow[], record: (connection: Connection) => void): Traffic {
  const stop = new AbortController();
  const pending = new Set<Promise<unknown>>();
  const open = new Set<net.Socket>();
  const timers: NodeJS.Timeout[] = [];
  let connections = 0;

  const track = (work: Promise<unknown>) => {
    pending.add(work);
    void work.finally(() => pending.delete(work));
  };
  async function observe(flow: Flow, kind: "new" | "long", run: () => Promise<Ended>): Promise<Ended> {
    const from = performance.now();
    const { client, service } = flow;
    const ended = await run();
    const answered = ended.error === undefined || ended.server !== undefined;
    record({ client, service, kind: answered ? kind : "new", from, to: performance.now(), ...ended });
    return ended;
  }
  async function keepOpen(flow: Flow): Promise<void> {
    while (!stop.signal.aborted) {
      const { error } = await observe(flow, "long", () =>
        long(flow, stop.signal, (socket) => {
          open.add(socket);
          socket.once("close", () => open.delete(socket));
        }),
      );
      if (error !== undefined) await new Promise((resolve) => setTimeout(resolve, reopenAfterMs));
    }
  }
  for (const flow of flows) {
    timers.push(
      setInterval(() => {
        const line = `line ${++connections}`;
        track(observe(flow, "new", () => short(flow, line)));
      }, 1000 / flow.perSecond),
    );
    for (let index = 0; index < flow.longLived; index++) track(keepOpen(flow));
  }
  return {
    longLived: () => open.size,
    async stop() {
      for (const timer of timers) clearInterval(timer);
      stop.abort();
      await Promise.all(pending);
    },
  };
}
