import { isIP } from "node:net";
import { hostname, networkInterfaces } from "node:os";
import type { OwnServers } from "../envoy/own-servers.js";
import { addressSet, unspecified } from "../lib/addresses.js";
import { isLoopback } from "../lib/host.js";
import type { Settings } from "./settings.js";

/** Ports by server; undefined for servers that don't run, 0 for ports that are not bound yet. */
export type Ports = Readonly<Record<"api" | "bootstrap" | "xds" | "sds" | "health", number>> &
  Readonly<Record<"localTokens" | "publicTokens", number | undefined>>;

const names: Readonly<Record<keyof Ports, string>> = {
  api: "the HTTP API",
  bootstrap: "the bootstrap server",
  xds: "the xDS server",
  sds: "the SDS server",
  health: "the health server",
  localTokens: "the token server",
  publicTokens: "the public token server",
};

/** Loopback names of common hosts files. */
const loopbackNames: ReadonlySet<string> = new Set([
  "localhost.localdomain",
  "localhost4",
  "localhost6",
  "ip6-localhost",
  "ip6-loopback",
]);

/** The canonical form of an address (`127.1` and `0x7f000001` are 127.0.0.1); a name in lower case. */
function canonical(host: string): string {
  const name = host.toLowerCase().replace(/%.*$/, "").replace(/\.$/, "");
  const url = URL.parse(`http://${name}/`);
  return url === null ? name : url.hostname.replace(/^\[|\]$/g, "");
}

/** The servers on these ports of a machine with these names and addresses. */
export function ownServers(ports: Ports, hosts: Iterable<string>): OwnServers {
  const known = new Map<number, string>();
  for (const [server, port] of Object.entries(ports) as [keyof Ports, number | undefined][]) {
    if (port !== undefined && port !== 0) known.set(port, names[server]);
  }
  const all = [...hosts].map(canonical);
  const own = new Set(all);
  const addresses = addressSet(all.filter((host) => isIP(host) !== 0));
  const isOwn = (host: string) =>
    isLoopback(host) ||
    // Connecting to a wildcard address reaches this machine.
    unspecified.has(host) ||
    addresses.has(host) ||
    own.has(host) ||
    loopbackNames.has(host);
  return {
    at(host, port) {
      const server = known.get(port);
      return server !== undefined && (isOwn(canonical(host)) || isOwn(host)) ? server : undefined;
    },
  };
}

/** How long the machine's addresses are cached. */
const freshMs = 10_000;

/** The servers of this process on this machine, whose addresses may change. */
export interface KnownOwnServers {
  /** The same object for as long as ports and addresses are the same. */
  current(): OwnServers;
  /** Sets the ports that were bound. */
  opened(chosen: Ports): void;
}

export function createOwnServers(settings: Settings): KnownOwnServers {
  let ports: Ports = {
    api: settings.apiPort,
    bootstrap: settings.bootstrapPort,
    xds: settings.xdsPort,
    sds: settings.sdsPort,
    health: settings.diagnosticsPort,
    localTokens: settings.tokenServerEnabled ? settings.tokenLocalPort : undefined,
    publicTokens: settings.tokenServerEnabled && settings.tokenPublicEnabled ? settings.tokenPublicPort : undefined,
  };
  let known: { readonly text: string; readonly servers: OwnServers } | undefined;
  let readAt = Number.NEGATIVE_INFINITY;

  function current(): OwnServers {
    const now = performance.now();
    if (known !== undefined && now - readAt < freshMs) return known.servers;
    readAt = now;
    const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
    const hosts = [settings.advertisedHostname, hostname(), ...addresses.map(({ address }) => address)];
    const text = JSON.stringify([ports, hosts]);
    if (known?.text !== text) known = { text, servers: ownServers(ports, hosts) };
    return known.servers;
  }

  return {
    current,
    opened(chosen) {
      ports = chosen;
      readAt = Number.NEGATIVE_INFINITY;
    },
  };
}
