import { connectableHost, hostOfHeader, isLoopback, unmapped } from "../../lib/host.js";
import type { HttpRequest } from "../../net/exchange.js";

/**
 * The host by which a remote client reached this machine: its `Host` header, which is correct behind NAT and load
 * balancers; or the local address of the connection, if an intermediary changed the header to a local name. Undefined
 * if both indicate a local client.
 */
export function hostAsked({ headers, localAddress = "" }: Pick<HttpRequest, "headers" | "localAddress">) {
  return [hostOfHeader(headers.host ?? ""), unmapped(localAddress)]
    .map(connectableHost)
    .find((host) => host !== undefined && !isLoopback(host));
}
