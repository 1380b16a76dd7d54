import { hostPort } from "../lib/host.js";

export interface CatalogueParameters {
  readonly advertisedHostname: string;
  readonly bootstrapPort: number;
  /** Undefined for a server that doesn't run. */
  readonly localTokenPort: number | undefined;
  readonly publicTokenPort: number | undefined;
}

/** Where the other servers of this control plane are; addresses of servers that do not run are empty. */
export function catalogueDocument({
  advertisedHostname,
  bootstrapPort,
  localTokenPort,
  publicTokenPort,
}: CatalogueParameters) {
  return {
    apis: {
      bootstrap: { url: `http://${hostPort(advertisedHostname, bootstrapPort)}` },
      dataplaneToken: {
        localUrl: localTokenPort === undefined ? "" : `http://localhost:${localTokenPort}`,
        publicUrl: publicTokenPort === undefined ? "" : `https://${hostPort(advertisedHostname, publicTokenPort)}`,
      },
    },
  };
}
