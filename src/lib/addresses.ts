import { BlockList, isIP } from "node:net";

/** A set of IP addresses; an IPv4 address inside IPv6 (`::ffff:127.0.0.1`) is that IPv4 address. */
export interface AddressSet {
  /** False for what is no IP address. */
  has(address: string): boolean;
}

export function addressSet(addresses: Iterable<string>, subnets: Iterable<readonly [string, number]> = []): AddressSet {
  const list = new BlockList();
  const family = (address: string) => (isIP(address) === 4 ? "ipv4" : "ipv6");
  for (const address of addresses) list.addAddress(address, family(address));
  for (const [address, prefix] of subnets) list.addSubnet(address, prefix, family(address));
  return {
    has(written) {
      // The zone of a link-local address (`fe80::1%eth0`) says through which interface it is reached.
      const address = written.replace(/%.*$/, "");
      return isIP(address) !== 0 && list.check(address, family(address));
    },
  };
}

const allLoopback = addressSet(["::1"], [["127.0.0.0", 8]]);
/** Nearly every peer on this machine has one of these; a look into a list of subnets costs as much as a small request. */
const usualLoopback: ReadonlySet<string> = new Set(["127.0.0.1", "::1", "::ffff:127.0.0.1"]);

/** The addresses that mean every address of a machine. */
export const unspecified = addressSet(["0.0.0.0", "::"]);

/** The addresses by which a machine reaches itself and nobody else does. */
export const loopback: AddressSet = { has: (address) => usualLoopback.has(address) || allLoopback.has(address) };
