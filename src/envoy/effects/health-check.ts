import { candidates } from "../../policy/matching.js";
import { type HealthCheck, healthCheckType } from "../../resources/health-check.js";
import type { ClusterDraft } from "../clusters.js";
import { duration, milliseconds } from "../durations.js";
import { policyEffect } from "./effect.js";

/** All of a HealthCheck that a cluster depends on: its selectors are not. */
interface Parameters {
  readonly conf: HealthCheck["conf"] | undefined;
}

/**
 * A HealthCheck in Envoy's terms. Unhealthy endpoints get nothing, however many they are: with Envoy's default it would
 * send to all of them again once half are unhealthy.
 */
function checks({ conf }: Parameters, revision: number): ClusterDraft["init"] {
  const { activeChecks: active, passiveChecks: passive } = conf ?? {};
  return {
    ...(active === undefined
      ? {}
      : {
          healthChecks: [
            {
              healthChecker: { case: "tcpHealthCheck" as const, value: {} },
              interval: duration(milliseconds(active.interval)),
              // By Envoy's default an endpoint that was not up yet is tried again after a minute while nothing is sent,
              // and nothing is sent while no endpoint is well.
              noTrafficInterval: duration(milliseconds(active.interval)),
              timeout: duration(milliseconds(active.timeout)),
              unhealthyThreshold: active.unhealthyThreshold ?? 0,
              healthyThreshold: active.healthyThreshold ?? 0,
            },
          ],
        }),
    ...(passive === undefined
      ? {}
      : {
          outlierDetection: {
            // Counts failures to connect, too.
            consecutive5xx: passive.unhealthyThreshold ?? 0,
            interval: duration(milliseconds(passive.penaltyInterval)),
            baseEjectionTime: duration(milliseconds(passive.penaltyInterval)),
            maxEjectionPercent: 100,
            // Envoy would also eject endpoints for failing more often than others do, which nobody asked for.
            ...(revision >= 1 ? { enforcingSuccessRate: 0 } : {}),
          },
        }),
    commonLbConfig: {
      healthyPanicThreshold: { value: 0 },
      // For a second after an endpoint change Envoy else gathers changes of health, and goes on using what it has ejected.
      ...(revision >= 1 ? { updateMergeWindow: duration(0) } : {}),
    },
  };
}

/** Clusters leave out the endpoints that are not well. */
export const healthCheckEffect = policyEffect(healthCheckType, {
  cluster: {
    parametersOf(table, service, { proxy }): Parameters | undefined {
      const [winner] = candidates(table, proxy.inbounds, service);
      return winner === undefined ? undefined : { conf: winner.conf };
    },
    addTo: ({ init, revision }, parameters) => Object.assign(init, checks(parameters, revision)),
  },
});
