import { BlockList, isIP } from "node:net";

/** A set of IP addresses; an IPv4-mapped IPv6 address (`::ffff:127.0.0.1`) equals its IPv4 address. */
export interface AddressSet {
  /** False for anything that is not an IP address. */
  has(address: string): boolean;
}

export function addressSet(addresses: Iterable<string>, subnets: Iterable<readonly [string, number]> = []): AddressSet {
  const list = new BlockList();
  const family = (address: string) => (isIP(address) === 4 ? "ipv4" : "ipv6");
  for (const address of addresses) list.addAddress(address, family(address));
  for (const [address, prefix] of subnets) list.addSubnet(address, prefix, family(address));
  return {
    has(written) {
      // The zone of a link-local address (`fe80::1%eth0`) names an interface and is not part of the address.
      const address = written.replace(/%.*$/, "");
      return isIP(address) !== 0 && list.check(address, family(address));
    },
  };
}

const allLoopback = addressSet(["::1"], [["127.0.0.0", 8]]);
/** A shortcut: nearly every local peer has one of these, and a subnet lookup costs as much as a small request. */
const usualLoopback: ReadonlySet<string> = new Set(["127.0.0.1", "::1", "::ffff:127.0.0.1"]);

/** The wildcard addresses. */
export const unspecified = addressSet(["0.0.0.0", "::"]);

/** The loopback addresses. */
export const loopback: AddressSet = { has: (address) => usualLoopback.has(address) || allLoopback.has(address) };
