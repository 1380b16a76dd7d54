import { type ChildProcess, spawn } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { issueCertificate } from "../../support/certificates.js";
import { eventually } from "../../support/eventually.js";
import type { Ports } from "./battle.js";

const program = path.join(path.dirname(fileURLToPath(import.meta.url)), "bare-server.mjs");

/** A server of the same runtime with nothing behind it; the measure for what a flood costs anyone. */
export interface BareServer {
  readonly ports: Ports;
  readonly ready: string;
  alive(): boolean;
  close(): void;
}

export async function startBareServer(temporary: string): Promise<BareServer> {
  const { cert, key } = issueCertificate({ name: "bare", hosts: ["localhost"] });
  const files = [path.join(temporary, "bare.crt"), path.join(temporary, "bare.key")];
  fs.writeFileSync(files[0] ?? "", cert);
  fs.writeFileSync(files[1] ?? "", key);
  const child: ChildProcess = spawn(process.execPath, [program, ...files], { stdio: ["ignore", "pipe", "ignore"] });
  let output = "";
  child.stdout?.on("data", (chunk: Buffer) => {
    output += chunk.toString();
  });
  await eventually("the bare server listens", () => output.includes("\n"));
  const { xds, sds, http } = JSON.parse(output) as { xds: number; sds: number; http: number };
  return {
    ports: { xds, sds, api: http, bootstrap: http, tokens: http, health: http },
    ready: `http://127.0.0.1:${http}`,
    alive: () => child.exitCode === null && child.signalCode === null,
    close: () => child.kill("SIGKILL"),
  };
}
