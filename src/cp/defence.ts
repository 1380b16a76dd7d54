import { reviewLimits } from "../kubernetes/token-review.js";
import { createSiteGuard, knownHostsOnly, type SiteGuard } from "../net/cross-site.js";
import type { Layer } from "../net/exchange.js";
import { grpcLimits } from "../net/grpc-limits.js";
import type { Incidents } from "../net/incidents.js";
import { httpLimitNames } from "../net/limits.js";
import { type AllowedOrigins, allowedOrigins } from "../net/origins.js";
import { xdsLimits } from "../xds/limits.js";
import type { Metrics } from "./metrics/metrics.js";
import { createRecentRefusals, type RecentRefusals } from "./recent-refusals.js";
import { originsVariable, type Settings } from "./settings.js";

/** What protects the servers of a control plane, and counts what they refuse. */
export interface Defence {
  readonly allowed: AllowedOrigins;
  readonly guard: SiteGuard;
  readonly knownHosts: Layer;
  readonly refusals: RecentRefusals;
  /** For the HTTP server of this name. */
  http(server: string): Incidents;
  /** For the gRPC server of this name. */
  grpc(server: string): Incidents;
}

/** @throws UserError for an origin in the settings that is not a pattern */
export async function createDefence(settings: Settings, metrics: Metrics): Promise<Defence> {
  const allowed = await allowedOrigins(settings.corsAllowedDomains, originsVariable);
  const guard = createSiteGuard({ allowed, advertisedHostname: settings.advertisedHostname });
  const refusals = createRecentRefusals();
  const incidents = (server: string, limits: readonly string[]) =>
    refusals.watch(server, metrics.incidents(server, limits));
  return {
    allowed,
    guard,
    knownHosts: knownHostsOnly(guard, metrics.requestRefused),
    refusals,
    http: (server) => incidents(server, httpLimitNames),
    grpc: (server) => incidents(server, Object.keys({ ...grpcLimits, ...xdsLimits, ...reviewLimits })),
  };
}
