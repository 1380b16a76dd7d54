import { realpathSync } from "node:fs";
import { createServer } from "node:net";
import { readToken } from "../../identity/token-file.js";
import { defaultEnvoy, diagnose, findEnvoy } from "../../lib/envoy-binary.js";
import { UserError } from "../../lib/errors.js";
import { isJsonObject } from "../../lib/json.js";
import { listen } from "../../net/listen.js";
import { binaryPath, type Machine } from "./context.js";
import { findHolder } from "./port-holder.js";

/** The process only prints its version, but a loaded machine may be slow. */
const diagnosisMs = 10_000;

/** glibc's own version string, as the runtime reports it. */
function glibcVersion(): string | undefined {
  const report: unknown = process.report.getReport();
  const header = isJsonObject(report) ? report.header : undefined;
  const version = isJsonObject(header) ? header.glibcVersionRuntime : undefined;
  return typeof version === "string" ? version : undefined;
}

/** The machine that this process runs on. */
export function thisMachine(env: Machine["env"]): Machine {
  return {
    env,
    glibc: glibcVersion,
    findEnvoy() {
      const place = {
        searchPath: env.PATH ?? "",
        self: realpathSync(process.execPath),
        workingDirectory: process.cwd(),
      };
      return findEnvoy(env[binaryPath] || defaultEnvoy, place, binaryPath);
    },
    diagnoseEnvoy: (binary) => diagnose(binary, diagnosisMs),
    async tryPort(binding) {
      const server = createServer((socket) => socket.destroy());
      try {
        await listen(server, binding);
        await new Promise((resolve) => server.close(resolve));
        return undefined;
      } catch (error) {
        if (!(error instanceof UserError)) throw error;
        const { cause } = error;
        const taken = cause instanceof Error && "code" in cause && cause.code === "EADDRINUSE";
        return { error, taken, holder: taken ? findHolder(binding.port) : undefined };
      }
    },
    readToken,
    now: () => new Date(),
  };
}
