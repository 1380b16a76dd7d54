import { fork } from "node:child_process";
import path from "node:path";
import { fileURLToPath } from "node:url";
import type { Flood } from "./attack.js";
import type { Order } from "./attacker.js";
import type { FloodFigures, Ports } from "./battle.js";

const program = path.join(path.dirname(fileURLToPath(import.meta.url)), "attacker.ts");
/** How much longer than its flood an attacker may take. */
const graceMs = 20_000;

export interface Attackers {
  /** Sends a flood; resolves once all its connections are gone. */
  send(flood: Flood, ports: Ports): Promise<FloodFigures>;
  close(): void;
}

/** Starts the process that floods come from. */
export function openAttackers(): Attackers {
  const child = fork(program, [], { execArgv: ["--import", "tsx"], stdio: ["ignore", "inherit", "inherit", "ipc"] });
  return {
    send(flood, ports) {
      return new Promise((resolve, reject) => {
        const late = setTimeout(() => ended("hangs"), flood.seconds * 1000 + graceMs);
        const exited = (code: number | null) => ended(`ended with the exit code ${code}`);
        const done = (figures: unknown) => {
          release();
          resolve(figures as FloodFigures);
        };
        function release(): void {
          clearTimeout(late);
          child.off("exit", exited);
          child.off("message", done);
        }
        function ended(what: string): void {
          release();
          child.kill("SIGKILL");
          reject(new Error(`the process that floods come from ${what}`));
        }
        child.once("exit", exited);
        child.once("message", done);
        child.send({ flood, ports } satisfies Order);
      });
    },
    close: () => void child.kill("SIGKILL"),
  };
}
