import { type HttpReply, jsonReply } from "../../net/exchange.js";
import type { Unregistered } from "../../xds/configuration/proxies.js";
import { type ReadContext, type ReadEndpoint, reads } from "./endpoint.js";
import { titles } from "./errors.js";

/** Limits the response: anyone may connect under any name. */
const mostShown = 1_000;

export const unregisteredEndpoints = ({ unregistered }: ReadContext): readonly ReadEndpoint[] => [
  reads({ path: "/unregistered-proxies", title: titles.list, handle: () => list(unregistered()) }),
];

/** `{"total", "items": [{"mesh", "name", "connectTime"}]}`, longest connected first. */
function list(proxies: readonly Unregistered[]): HttpReply {
  const items = [...proxies]
    .sort((a, b) => a.since.getTime() - b.since.getTime())
    .slice(0, mostShown)
    .map(({ id: { mesh, name }, since }) => ({ mesh, name, connectTime: since.toISOString() }));
  return jsonReply(200, { total: proxies.length, items });
}
