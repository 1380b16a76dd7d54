import { hostPort } from "../lib/host.js";

export interface CatalogueParameters {
  readonly advertisedHostname: string;
  readonly bootstrapPort: number;
  /** Undefined if the server doesn't run. */
  readonly localTokenPort: number | undefined;
  readonly publicTokenPort: number | undefined;
}

/** The addresses of this control plane's servers; empty for servers that do not run. */
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
