import { hostPort } from "../lib/host.js";

export interface CatalogueParameters {
  readonly advertisedHostname: string;
  readonly bootstrapPort: number;
  readonly bootstrapScheme?: "http" | "https";
  /** Undefined for a server that doesn't run. */
  readonly localTokenPort: number | undefined;
  readonly publicTokenPort: number | undefined;
}

/** Where the other servers of this control plane are; addresses of servers that do not run are empty. */
export function catalogueDocument({
  advertisedHostname,
  bootstrapPort,
  bootstrapScheme = "http",
  localTokenPort,
  publicTokenPort,
}: CatalogueParameters) {
  return {
    apis: {
      bootstrap: { url: `${bootstrapScheme}://${hostPort(advertisedHostname, bootstrapPort)}` },
      dataplaneToken: {
        localUrl: localTokenPort === undefined ? "" : `http://localhost:${localTokenPort}`,
        publicUrl: publicTokenPort === undefined ? "" : `https://${hostPort(advertisedHostname, publicTokenPort)}`,
      },
    },
  };
}
