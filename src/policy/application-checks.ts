import { durationNanos } from "../resources/duration.js";
import { type HealthCheck, healthCheckType } from "../resources/health-check.js";
import type { MeshView, ProxyView } from "../view/mesh-view.js";
import { policiesFor, tableOf } from "../view/policies.js";
import { matchesService } from "./selector.js";

type ActiveChecks = NonNullable<NonNullable<HealthCheck["conf"]>["activeChecks"]>;

/** The health check by which a sidecar tests whether an application accepts connections. */
export type ApplicationCheck = Required<ActiveChecks>;

/** Passive checks have no interval; a connection a second over loopback costs almost nothing. */
function checkOf({ conf }: HealthCheck): ApplicationCheck | undefined {
  const { activeChecks: active, passiveChecks: passive } = conf ?? {};
  if (active !== undefined) {
    const { interval = "", timeout = "", unhealthyThreshold = 1, healthyThreshold = 1 } = active;
    return { interval, timeout, unhealthyThreshold, healthyThreshold };
  }
  if (passive === undefined) return undefined;
  return { interval: "1s", timeout: "1s", unhealthyThreshold: passive.unhealthyThreshold ?? 1, healthyThreshold: 1 };
}

const nanos = (text: string) => durationNanos(text) ?? 0n;

/**
 * The checks of a proxy's own applications, by their ports on 127.0.0.1: those of all HealthChecks whose destinations
 * match the services there, whatever their sources. If there are several, the one with the shortest interval is used.
 */
export function applicationChecks(
  { policies }: Pick<MeshView, "policies">,
  { inbounds }: Pick<ProxyView, "inbounds">,
): ReadonlyMap<number, ApplicationCheck> {
  const found = new Map<number, ApplicationCheck>();
  const table = tableOf(policies, healthCheckType);
  for (const { service, servicePort } of inbounds) {
    for (const { spec } of policiesFor(table, service)) {
      if (!(spec.destinations ?? []).some(({ match }) => matchesService(match, service))) continue;
      const check = checkOf(spec);
      const known = found.get(servicePort);
      if (check === undefined || nanos(check.interval) <= 0n) continue;
      if (known === undefined || nanos(check.interval) < nanos(known.interval)) found.set(servicePort, check);
    }
  }
  return found;
}
