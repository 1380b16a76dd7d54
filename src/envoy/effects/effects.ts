import type { policyTypes } from "../../resources/registry.js";
import { trafficRouteType } from "../../resources/traffic-route.js";
import type { PolicyEffect } from "./effect.js";
import { healthCheckEffect } from "./health-check.js";
import { proxyTemplateEffect } from "./proxy-template.js";
import { trafficLogEffect } from "./traffic-log.js";
import { trafficPermissionEffect } from "./traffic-permission.js";

/** What every policy does to Envoy configurations. */
export const policyEffects: readonly PolicyEffect[] = Object.values({
  ProxyTemplate: proxyTemplateEffect,
  TrafficPermission: trafficPermissionEffect,
  TrafficLog: trafficLogEffect,
  // Which clusters an outbound leads to is asked by all who look at outbounds: `sharesOf` in policy.
  TrafficRoute: { type: trafficRouteType },
  HealthCheck: healthCheckEffect,
} satisfies Record<(typeof policyTypes)[number]["name"], PolicyEffect>);
