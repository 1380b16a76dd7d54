import { create, toBinary } from "@bufbuild/protobuf";
import { HealthCheckSpecifierSchema } from "../../proto-gen/es/envoy/service/health/v3/hds_pb.js";
import type { ApplicationCheck } from "../policy/application-checks.js";
import { socketAddress } from "./address.js";
import { localClusterName } from "./clusters.js";
import { duration, milliseconds } from "./durations.js";

/** One report a second is soon enough; one in five seconds shows that the sidecar is still checking. */
const fastestReportMs = 1_000;
const slowestReportMs = 5_000;

/** How often a sidecar reports the results of these checks, in milliseconds. */
export function reportIntervalMs(checks: ReadonlyMap<number, ApplicationCheck>): number {
  const shortest = Math.min(slowestReportMs, ...[...checks.values()].map(({ interval }) => milliseconds(interval)));
  return Math.max(fastestReportMs, shortest);
}

/** An operator who checks once an hour must not wait for hours until a recovered application is used. */
const longestDetectionMs = 60_000;

/**
 * How long an Envoy that was just told to make a check may take to find the application down, in milliseconds, a minute
 * at most. It reports the application as healthy until then.
 */
export function detectionMs({ interval, timeout, unhealthyThreshold }: ApplicationCheck): number {
  return Math.min(longestDetectionMs, unhealthyThreshold * milliseconds(interval) + milliseconds(timeout));
}

/** Encodes the HDS message that makes an Envoy check the applications at these ports on 127.0.0.1. */
export function encodeHealthSpecifier(checks: ReadonlyMap<number, ApplicationCheck>): Uint8Array {
  const message = create(HealthCheckSpecifierSchema, {
    interval: duration(reportIntervalMs(checks)),
    clusterHealthChecks: [...checks].map(([port, { interval, timeout, unhealthyThreshold, healthyThreshold }]) => ({
      clusterName: localClusterName(port),
      healthChecks: [
        {
          // The application's protocol is unknown, so the check only connects: an idle application is healthy.
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
