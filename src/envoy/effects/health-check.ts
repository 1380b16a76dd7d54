import { candidates } from "../../policy/matching.js";
import { type HealthCheck, healthCheckType } from "../../resources/health-check.js";
import type { ClusterDraft } from "../clusters.js";
import { duration, milliseconds } from "../durations.js";
import { policyEffect } from "./effect.js";

/** The part of a HealthCheck that a cluster depends on: its `conf`, not its selectors. */
interface Parameters {
  readonly conf: HealthCheck["conf"] | undefined;
}

/**
 * Converts a HealthCheck to cluster fields. Unhealthy endpoints never get traffic: with Envoy's default panic
 * threshold, all of them would get traffic again once half are unhealthy.
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
              // By default Envoy checks an endpoint only once a minute while the cluster has no traffic, and it has no
              // traffic while no endpoint is healthy.
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
            // Also counts connection failures.
            consecutive5xx: passive.unhealthyThreshold ?? 0,
            interval: duration(milliseconds(passive.penaltyInterval)),
            baseEjectionTime: duration(milliseconds(passive.penaltyInterval)),
            maxEjectionPercent: 100,
            // By default Envoy also ejects endpoints with a low success rate, which the policy does not request.
            ...(revision >= 1 ? { enforcingSuccessRate: 0 } : {}),
          },
        }),
    commonLbConfig: {
      healthyPanicThreshold: { value: 0 },
      // By default Envoy delays health changes for a second after an endpoint change, and keeps using ejected
      // endpoints.
      ...(revision >= 1 ? { updateMergeWindow: duration(0) } : {}),
    },
  };
}

/** Clusters do not send traffic to unhealthy endpoints. */
export const healthCheckEffect = policyEffect(healthCheckType, {
  cluster: {
    parametersOf(table, service, { proxy }): Parameters | undefined {
      const [winner] = candidates(table, proxy.inbounds, service);
      return winner === undefined ? undefined : { conf: winner.conf };
    },
    addTo: ({ init, revision }, parameters) => Object.assign(init, checks(parameters, revision)),
  },
});
