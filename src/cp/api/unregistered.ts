import { type HttpReply, jsonReply } from "../../net/exchange.js";
import type { Unregistered } from "../../xds/proxies.js";

/** Anybody may connect by any name: an answer does not grow with them. */
const mostShown = 1_000;

/** `{"total", "items": [{"mesh", "name", "connectTime"}]}`, those that have been connected for longest first. */
export function listUnregistered(proxies: readonly Unregistered[]): HttpReply {
  const items = [...proxies]
    .sort((a, b) => a.since.getTime() - b.since.getTime())
    .slice(0, mostShown)
    .map(({ id: { mesh, name }, since }) => ({ mesh, name, connectTime: since.toISOString() }));
  return jsonReply(200, { total: proxies.length, items });
}
