export interface CatalogueParameters {
  readonly advertisedHostname: string;
  readonly bootstrapPort: number;
  readonly bootstrapScheme?: "http" | "https";
}

/** Where the other servers of this control plane are; addresses of servers that do not run are empty. */
export function catalogueDocument({
  advertisedHostname,
  bootstrapPort,
  bootstrapScheme = "http",
}: CatalogueParameters) {
  return {
    apis: {
      bootstrap: { url: `${bootstrapScheme}://${advertisedHostname}:${bootstrapPort}` },
      dataplaneToken: { localUrl: "", publicUrl: "" },
    },
  };
}
