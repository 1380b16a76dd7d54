import { loopback } from "../lib/addresses.js";
import { errorReply, type HttpRequest, type Layer, type Refusal } from "./exchange.js";

export interface LocalChangesOptions {
  /** How a change gets to this server in another way: what to do and to set. */
  readonly remedy: string;
  /** Told of each request that is refused. */
  readonly refused?: (reason: Refusal) => void;
}

/** Methods that change nothing. */
const reading = new Set(["GET", "HEAD", "OPTIONS"]);

/** Header lines that a proxy adds: the peer is the proxy then, and whoever sent the request is unknown. */
const proxyHeaders = new Set(["forwarded", "via", "x-real-ip"]);
const isProxyHeader = (name: string) => proxyHeaders.has(name) || name.startsWith("x-forwarded-");

/** Why a request is not from this machine's own administrator; undefined when it may be. */
function strangeness({ peer, headers }: HttpRequest): { readonly kind: Refusal; readonly text: string } | undefined {
  if (!loopback.has(peer)) return { kind: "address", text: `this request came from ${peer || "an unknown address"}` };
  for (const name in headers) {
    if (isProxyHeader(name)) {
      return { kind: "proxy", text: `this request came through a proxy (it has the header ${name.slice(0, 50)})` };
    }
  }
  return undefined;
}

/**
 * Takes requests that change something from this machine only, by the address of the connection. A proxy on this machine
 * is not its administrator: what was forwarded is refused, too.
 */
export function localChangesOnly({ remedy, refused }: LocalChangesOptions): Layer {
  return (handler) => (request) => {
    const reason = reading.has(request.method) ? undefined : strangeness(request);
    if (reason === undefined) return handler(request);
    refused?.(reason.kind);
    const details = `Changes are taken from the control plane's own machine only; ${reason.text}. ${remedy}`;
    return errorReply(403, "Not allowed", details);
  };
}
