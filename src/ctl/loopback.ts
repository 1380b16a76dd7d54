import { lookup } from "node:dns/promises";
import { BlockList } from "node:net";

const loopback = new BlockList();
loopback.addSubnet("127.0.0.0", 8, "ipv4");
loopback.addAddress("::1", "ipv6");

/** Whether a URL's host is this machine by its loopback address. Rejects when the host has no address. */
export async function isLoopback(hostname: string): Promise<boolean> {
  const { address, family } = await lookup(hostname.replace(/^\[|\]$/g, ""));
  return loopback.check(address, family === 6 ? "ipv6" : "ipv4");
}
