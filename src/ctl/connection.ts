import type { Io } from "../lib/cli.js";
import { type ApiClient, createApiClient } from "./api-client.js";
import { activeControlPlane, type Context, configLocation, loadConfig } from "./config-file.js";

export interface Connection {
  readonly client: ApiClient;
  readonly context: Context;
  readonly address: URL;
}

/** The active control plane of the configuration; nothing is sent yet. */
export async function connect(globals: { readonly configFile: string | undefined }, io: Io): Promise<Connection> {
  const config = await loadConfig(configLocation(globals.configFile, io.env));
  const { context, address } = activeControlPlane(config);
  return { client: createApiClient(address), context, address };
}
