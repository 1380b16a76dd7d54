import type { Io } from "../lib/cli.js";
import { createLogger, type LogLevel } from "../lib/logger.js";
import { type ApiClient, createApiClient } from "./api-client.js";
import { activeControlPlane, type Context, configLocation, loadConfig } from "./config-file.js";

export interface Connection {
  readonly client: ApiClient;
  readonly context: Context;
  readonly address: URL;
}

interface ConnectOptions {
  readonly globals: { readonly configFile: string | undefined };
  readonly io: Io;
  readonly logLevel: LogLevel;
}

/** A client of the current control plane. Sends nothing yet. */
export async function connect({ globals, io, logLevel }: ConnectOptions): Promise<Connection> {
  const config = await loadConfig(configLocation(globals.configFile, io.env));
  const { context, address } = activeControlPlane(config);
  const logger = createLogger({ name: "kumactl.api", level: logLevel, write: (line) => void io.stderr.write(line) });
  return { client: createApiClient(address, logger), context, address };
}
