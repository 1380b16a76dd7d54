import net from "node:net";
import { greeting } from "./mesh-stage.js";

/** Opens one connection after the other, and one that stays open and echoes, until stopped. */
export interface RestlessTraffic {
  /** The failures so far, and the number of successful connections. */
  readonly failures: readonly string[];
  readonly served: () => number;
  readonly echoed: () => number;
  stop(): Promise<void>;
}

const pauseMs = 15;

export async function startRestlessTraffic(port: number, expected: string): Promise<RestlessTraffic> {
  const failures: string[] = [];
  let served = 0;
  let echoed = 0;
  let stopped = false;

  const socket = net.connect(port, "127.0.0.1");
  socket.on("error", (error) => failures.push(`the open connection: ${error.message}`));
  socket.on("close", () => {
    if (!stopped) failures.push("the open connection was closed");
  });
  socket.on("data", () => {
    echoed += 1;
  });

  async function knock(): Promise<void> {
    while (!stopped) {
      const said = await greeting(port).catch((error: Error) => error.message);
      if (said === expected) served += 1;
      else failures.push(said);
      socket.write("still there?\n");
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  }
  const knocking = knock();
  return {
    failures,
    served: () => served,
    echoed: () => echoed,
    async stop() {
      stopped = true;
      await knocking;
      socket.destroy();
    },
  };
}
