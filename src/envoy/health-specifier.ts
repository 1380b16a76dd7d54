import { create, toBinary } from "@bufbuild/protobuf";
import { HealthCheckSpecifierSchema } from "../../proto-gen/es/envoy/service/health/v3/hds_pb.js";
import type { ApplicationCheck } from "../policy/application-checks.js";
import { socketAddress } from "./address.js";
import { localClusterName } from "./clusters.js";
import { duration, milliseconds } from "./durations.js";

/** A report a second tells soon enough; one in five seconds shows that the sidecar still looks. */
const fastestReportMs = 1_000;
const slowestReportMs = 5_000;

/** How often a sidecar reports what these checks found, in milliseconds. */
export function reportIntervalMs(checks: ReadonlyMap<number, ApplicationCheck>): number {
  const shortest = Math.min(slowestReportMs, ...[...checks.values()].map(({ interval }) => milliseconds(interval)));
  return Math.max(fastestReportMs, shortest);
}

/** Tells an Envoy, over HDS, which applications to check: those at these ports on 127.0.0.1. */
export function encodeHealthSpecifier(checks: ReadonlyMap<number, ApplicationCheck>): Uint8Array {
  const message = create(HealthCheckSpecifierSchema, {
    interval: duration(reportIntervalMs(checks)),
    clusterHealthChecks: [...checks].map(([port, { interval, timeout, unhealthyThreshold, healthyThreshold }]) => ({
      clusterName: localClusterName(port),
      healthChecks: [
        {
          // Connecting is all that can be asked of an application whose protocol is unknown: an idle one is well.
          healthChecker: { case: "tcpHealthCheck" as const, value: {} },
          interval: duration(milliseconds(interval)),
          noTrafficInterval: duration(milliseconds(interval)),
          timeout: duration(milliseconds(timeout)),
          unhealthyThreshold,
          healthyThreshold,
        },
      ],
      localityEndpoints: [{ endpoints: [{ address: socketAddress("127.0.0.1", port) }] }],
    })),
  });
  return toBinary(HealthCheckSpecifierSchema, message);
}
