import { isIP } from "node:net";
import { loopback, unspecified } from "./addresses.js";

const label = "(?!-)[A-Za-z0-9_-]{1,63}(?<!-)";
const dnsName = new RegExp(`^${label}(?:\\.${label})*\\.?$`);

/**
 * The canonical form of a host that others can connect to: a DNS name, an IPv4 address, or an IPv6 address; brackets
 * are removed. Undefined for anything else: a port or a URL, an address with a zone (meaningful on one machine only),
 * and the wildcard addresses.
 */
export function connectableHost(text: string): string | undefined {
  const bracketed = /^\[([0-9A-Fa-f:.]+)\]$/.exec(text)?.[1];
  if (bracketed !== undefined) return isIP(bracketed) === 6 ? connectableHost(bracketed) : undefined;
  if (text.length > 253 || text.includes("%") || unspecified.has(text)) return undefined;
  if (isIP(text) !== 0) return text;
  // Most resolvers read a name that ends in a number as an IPv4 address: 10.1 is 10.0.0.1.
  return dnsName.test(text) && !/(?:^|\.)[0-9]+\.?$/.test(text) ? text : undefined;
}

/** Whether the host, a name or an address, is loopback. */
export function isLoopback(host: string): boolean {
  const bare = /^\[(.*)\]$/.exec(host)?.[1] ?? host;
  return loopback.has(bare) || /^(?:.+\.)?localhost\.?$/i.test(bare);
}

/** The IPv4 address of an IPv4-mapped address, which dual-stack sockets report; other addresses unchanged. */
export const unmapped = (ip: string): string => /^::ffff:([0-9.]+)$/i.exec(ip)?.[1] ?? ip;

/** The host of a `Host` header, without port and brackets. */
export function hostOfHeader(header: string): string {
  const bracketed = /^\[([^\]]*)\](?::\d*)?$/.exec(header);
  return bracketed?.[1] ?? header.replace(/:\d*$/, "");
}

/** `host:port` for URLs and gRPC targets, with an IPv6 address in brackets. */
export const hostPort = (host: string, port: number): string =>
  host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
