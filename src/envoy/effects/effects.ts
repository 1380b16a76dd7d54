import type { policyTypes } from "../../resources/registry.js";
import { trafficRouteType } from "../../resources/traffic-route.js";
import type { PolicyEffect } from "./effect.js";
import { healthCheckEffect } from "./health-check.js";
import { proxyTemplateEffect } from "./proxy-template.js";
import { trafficLogEffect } from "./traffic-log.js";
import { trafficPermissionEffect } from "./traffic-permission.js";

/** The effects of all policy types. */
export const policyEffects: readonly PolicyEffect[] = Object.values({
  ProxyTemplate: proxyTemplateEffect,
  TrafficPermission: trafficPermissionEffect,
  TrafficLog: trafficLogEffect,
  // The clusters of an outbound are needed by everything that handles outbounds: see `sharesOf` in policy.
  TrafficRoute: { type: trafficRouteType },
  HealthCheck: healthCheckEffect,
} satisfies Record<(typeof policyTypes)[number]["name"], PolicyEffect>);
