import { loopback } from "../lib/addresses.js";
import type { Access, Call, EndpointLayer } from "./endpoints.js";
import { errorReply, type HttpRequest, type Refusal } from "./exchange.js";

export interface LocalChangesOptions {
  /** How a change gets to this server in another way: what to do and to set. */
  readonly remedy: string;
  /** Told of each request that is refused. */
  readonly refused?: (reason: Refusal) => void;
}

/** Rights that the administrator of the machine shares with others. */
const shared: ReadonlySet<Access> = new Set(["read", "proxy", "view-secrets"]);
/** Methods that change nothing, wherever they go. */
const readingMethods = new Set(["GET", "HEAD", "OPTIONS"]);

const changes = ({ endpoint, request }: Call) =>
  endpoint === undefined ? !readingMethods.has(request.method) : !shared.has(endpoint.access);

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
 * Takes requests to endpoints that change something from this machine only, by the address of the connection. A proxy on
 * this machine is not its administrator: what was forwarded is refused, too.
 */
export function localChangesOnly({ remedy, refused }: LocalChangesOptions): EndpointLayer {
  return (handler) => (call) => {
    const reason = changes(call) ? strangeness(call.request) : undefined;
    if (reason === undefined) return handler(call);
    refused?.(reason.kind);
    return errorReply("http.remote", { problem: reason.text, remedy });
  };
}
