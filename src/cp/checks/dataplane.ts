import { inboundProblem, type OwnServers } from "../../envoy/own-servers.js";
import type { Cause } from "../../lib/errors.js";
import { type Dataplane, parseInboundInterface } from "../../resources/dataplane.js";

/**
 * Rejects inbounds that forward to the control plane's own servers: these treat a sidecar on the same machine as the
 * administrator, and so every peer in the mesh that it forwards for.
 */
export function dataplaneCheck(own: () => OwnServers | undefined): (dataplane: Dataplane) => Promise<readonly Cause[]> {
  return async ({ networking }) => {
    const servers = own();
    if (servers === undefined) return [];
    return (networking?.inbound ?? []).flatMap(({ interface: written = "" }, index) => {
      const parsed = parseInboundInterface(written);
      const message = parsed && inboundProblem(servers, { address: parsed.ip, ...parsed });
      return message === undefined ? [] : [{ field: `networking.inbound[${index}].interface`, message }];
    });
  };
}
