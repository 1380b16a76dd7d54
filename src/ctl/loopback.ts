import { lookup } from "node:dns/promises";
import { loopback } from "../lib/addresses.js";

/** Whether a URL's host resolves to a loopback address. Rejects when the host does not resolve. */
export const resolvesToLoopback = async (hostname: string): Promise<boolean> =>
  loopback.has((await lookup(hostname.replace(/^\[|\]$/g, ""))).address);
