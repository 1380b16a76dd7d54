import { connectableHost, hostOfHeader, isLoopback, unmapped } from "../../lib/host.js";
import type { HttpRequest } from "../../net/exchange.js";

/**
 * The host by which a client of another machine reached this one: what it says in its `Host` header, which is right
 * behind NAT and load balancers; else the address that its connection came to, when something in between changed the
 * header to a name of this machine. Undefined when the client is on this machine, as far as both tell.
 */
export function hostAsked({ headers, localAddress = "" }: Pick<HttpRequest, "headers" | "localAddress">) {
  return [hostOfHeader(headers.host ?? ""), unmapped(localAddress)]
    .map(connectableHost)
    .find((host) => host !== undefined && !isLoopback(host));
}
