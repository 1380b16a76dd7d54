import { lookup } from "node:dns/promises";
import { loopback } from "../lib/addresses.js";

/** Whether a URL's host is this machine by its loopback address. Rejects when the host has no address. */
export const resolvesToLoopback = async (hostname: string): Promise<boolean> =>
  loopback.has((await lookup(hostname.replace(/^\[|\]$/g, ""))).address);
