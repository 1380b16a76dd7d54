/** An inbound's `interface`: the address of the proxy's listener, and the local port of the service. */
export interface InboundInterface {
  readonly ip: string;
  readonly port: number;
  readonly servicePort: number;
}

/** An outbound's `interface`: the address of the listener for the application's own requests. */
export interface OutboundInterface {
  readonly ip: string;
  readonly port: number;
}

/** The wildcard address: valid to listen on, not to connect to. */
export const anyAddress = "0.0.0.0";

/** The address of the local services. */
export const workloadAddress = "127.0.0.1";

// Octets without leading zeros: the reference accepts them, but Envoy rejects the listener.
const octet = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])";
const ipv4 = `${octet}(?:\\.${octet}){3}`;
const inboundPattern = new RegExp(`^(${ipv4}):([0-9]{1,5}):([0-9]{1,5})$`);
const outboundPattern = new RegExp(`^(${ipv4})?:([0-9]{1,5})$`);

const isPort = (port: number) => port >= 1 && port <= 65_535;

/** `IP:DATAPLANE_PORT:WORKLOAD_PORT`; undefined for anything else. */
export function parseInboundInterface(text: string): InboundInterface | undefined {
  const match = inboundPattern.exec(text);
  if (match === null) return undefined;
  const ip = match[1] ?? "";
  const port = Number(match[2]);
  const servicePort = Number(match[3]);
  return isPort(port) && isPort(servicePort) ? { ip, port, servicePort } : undefined;
}

/** `[IP]:PORT`, with 127.0.0.1 for no IP; undefined for anything else. */
export function parseOutboundInterface(text: string): OutboundInterface | undefined {
  const match = outboundPattern.exec(text);
  if (match === null) return undefined;
  const port = Number(match[2]);
  return isPort(port) ? { ip: match[1] ?? "127.0.0.1", port } : undefined;
}
