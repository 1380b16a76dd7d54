import { type Bytes, floodLimits, type Port } from "./attack.js";
import { createPace, type Pace } from "./pace.js";

/** What a flood came to, from the side of who sends it. */
export interface FloodFigures {
  connections: number;
  refused: number;
  bytes: number;
  received: number;
  responses: number;
}

export type Ports = Readonly<Record<Port, number>>;

/** The clients' address: another than that of the honest ones, for a limit for each address. */
export const hostileAddress = "127.0.0.66";

/** One flood against one server: its time, its rate and its figures. */
export interface Battle {
  readonly figures: FloodFigures;
  readonly pace: Pace;
  /** Resolves at the end of the flood. */
  readonly over: Promise<void>;
  ended(): boolean;
  address(port: Port): { readonly port: number; readonly localAddress: string };
  /** Resolves after so many milliseconds, or at the end of the flood. */
  wait(ms: number): Promise<void>;
  /** Bytes made once for all connections of the flood. */
  materialised(bytes: Bytes, make: (bytes: Bytes) => Buffer): Buffer;
}

export function createBattle(ports: Ports, seconds: number): Battle {
  let done = false;
  const made = new Map<Bytes, Buffer>();
  const over = new Promise<void>((resolve) => {
    setTimeout(() => {
      done = true;
      resolve();
    }, seconds * 1000);
  });
  return {
    figures: { connections: 0, refused: 0, bytes: 0, received: 0, responses: 0 },
    pace: createPace(floodLimits.bytesPerSecond),
    over,
    ended: () => done,
    address: (port) => ({ port: ports[port], localAddress: hostileAddress }),
    async wait(ms) {
      let timer: NodeJS.Timeout | undefined;
      const waited = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, ms);
      });
      await Promise.race([waited, over]);
      clearTimeout(timer);
    },
    materialised(bytes, make) {
      const known = made.get(bytes);
      if (known !== undefined) return known;
      const fresh = make(bytes);
      made.set(bytes, fresh);
      return fresh;
    },
  };
}
