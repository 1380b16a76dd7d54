/** An inbound's `interface`: where the proxy listens, and where the service does on this machine. */
export interface InboundInterface {
  readonly ip: string;
  readonly port: number;
  readonly servicePort: number;
}

/** An outbound's `interface`: where the proxy listens for the service's own requests. */
export interface OutboundInterface {
  readonly ip: string;
  readonly port: number;
}

/** Every address of a machine: something to listen on, and nothing to connect to. */
export const anyAddress = "0.0.0.0";

/** Where the proxy finds the services of its machine. */
export const workloadAddress = "127.0.0.1";

// Octets have no leading zeros: the reference takes them, Envoy refuses the listener.
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
