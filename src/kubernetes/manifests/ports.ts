/** Ports of the control plane's containers. */
export const controlPlanePorts = {
  sds: 5677,
  xds: 5678,
  diagnostics: 5680,
  api: 5681,
  bootstrap: 5682,
  admission: 5443,
} as const;

/** Port of the injector's container. */
export const injectorPort = 8443;

/** Port of a webhook's Service, which webhook configurations refer to by default. */
export const webhookPort = 443;
