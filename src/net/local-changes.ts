import { loopback } from "../lib/addresses.js";
import type { Access, Call, EndpointLayer } from "./endpoints.js";
import { errorReply, type HttpRequest, type Refusal } from "./exchange.js";

export interface LocalChangesOptions {
  /** What the user can do or set instead; part of the error. */
  readonly remedy: string;
  /** Called for each rejected request. */
  readonly refused?: (reason: Refusal) => void;
}

/** Permissions that are not restricted to the machine's administrator. */
const shared: ReadonlySet<Access> = new Set(["read", "proxy", "view-secrets"]);
/** Methods that never change anything. */
const readingMethods = new Set(["GET", "HEAD", "OPTIONS"]);

const changes = ({ endpoint, request }: Call) =>
  endpoint === undefined ? !readingMethods.has(request.method) : !shared.has(endpoint.access);

/** Headers that a proxy adds: the peer is then the proxy, and the real client is unknown. */
const proxyHeaders = new Set(["forwarded", "via", "x-real-ip"]);
const isProxyHeader = (name: string) => proxyHeaders.has(name) || name.startsWith("x-forwarded-");

/** Why a request cannot be from this machine's administrator; undefined if it may be. */
function reasonNotLocal({ peer, headers }: HttpRequest): { readonly kind: Refusal; readonly text: string } | undefined {
  if (!loopback.has(peer)) return { kind: "address", text: `this request came from ${peer || "an unknown address"}` };
  for (const name in headers) {
    if (isProxyHeader(name)) {
      return { kind: "proxy", text: `this request came through a proxy (it has the header ${name.slice(0, 50)})` };
    }
  }
  return undefined;
}

/**
 * Accepts requests to endpoints that change something only from this machine, by the address of the connection. A proxy
 * on this machine is not its administrator, so forwarded requests are rejected, too.
 */
export function localChangesOnly({ remedy, refused }: LocalChangesOptions): EndpointLayer {
  return (handler) => (call) => {
    const reason = changes(call) ? reasonNotLocal(call.request) : undefined;
    if (reason === undefined) return handler(call);
    refused?.(reason.kind);
    return errorReply("http.remote", { problem: reason.text, remedy });
  };
}
