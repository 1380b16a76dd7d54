/**
 * The control plane's own servers. They treat clients from their own machine as administrators, so no proxy may be
 * configured to forward to them.
 */
export interface OwnServers {
  /** The server that a connection to this host (a name or an IP address) and port may reach; undefined if none. */
  at(host: string, port: number): string | undefined;
}

interface Place {
  readonly address: string;
  readonly port: number;
  readonly servicePort: number;
}

/**
 * Why an inbound is not allowed: it listens on, or forwards to, a server of the control plane. Undefined if allowed.
 */
export function inboundProblem(own: OwnServers, { address, port, servicePort }: Place): string | undefined {
  const listening = own.at(address, port);
  if (listening !== undefined) return `port ${port} of ${address} belongs to ${listening} of the control plane`;
  const behind = own.at(address, servicePort);
  return behind === undefined
    ? undefined
    : `workload port ${servicePort} on the machine of ${address} belongs to ${behind} of the control plane: no dataplane may forward to it`;
}

/** Why a raw resource may not contain this address; undefined if it may. */
export function addressProblem(own: OwnServers, address: string, port: number): string | undefined {
  const server = own.at(address, port);
  return server === undefined
    ? undefined
    : `${address}:${port} is ${server} of the control plane: no proxy may lead to it`;
}
