import { create, toBinary } from "@bufbuild/protobuf";
import * as assert from "uvu/assert";
import { HealthStatus } from "../../../proto-gen/es/envoy/config/core/v3/health_check_pb.js";
import { HealthCheckRequestOrEndpointHealthResponseSchema } from "../../../proto-gen/es/envoy/service/health/v3/hds_pb.js";
import { decodeHealthMessage } from "../../../src/xds/health/report.js";
import { LimitExceeded } from "../../../src/xds/limits.js";
import { seeded } from "../../support/random.js";
import { suite } from "../../support/suite.js";

const test = suite("messages on an Envoy's health stream");

const schema = HealthCheckRequestOrEndpointHealthResponseSchema;

const request = (id: string) =>
  toBinary(schema, create(schema, { requestType: { case: "healthCheckRequest", value: { node: { id } } } }));

function report(clusters: Readonly<Record<string, readonly HealthStatus[]>>): Uint8Array {
  const clusterEndpointsHealth = Object.entries(clusters).map(([clusterName, statuses]) => ({
    clusterName,
    localityEndpointsHealth: [{ endpointsHealth: statuses.map((healthStatus) => ({ healthStatus })) }],
  }));
  const value = { clusterEndpointsHealth };
  return toBinary(schema, create(schema, { requestType: { case: "endpointHealthResponse", value } }));
}

test("the first message identifies the proxy, and is not a report", () => {
  const { nodeId, clusters } = decodeHealthMessage(request("default.db-1"));
  assert.is(nodeId, "default.db-1");
  assert.is(clusters, undefined);
});

test("a report says for each cluster whether all its endpoints are healthy", () => {
  const { HEALTHY, UNHEALTHY, TIMEOUT, DEGRADED, UNKNOWN, DRAINING } = HealthStatus;
  const { clusters } = decodeHealthMessage(
    report({ a: [HEALTHY], b: [UNHEALTHY], c: [TIMEOUT], d: [DEGRADED], e: [UNKNOWN], f: [HEALTHY, DRAINING], g: [] }),
  );
  const expected = { a: true, b: false, c: false, d: true, e: true, f: false, g: true };
  assert.equal(Object.fromEntries(clusters ?? []), expected);
  assert.equal([...(decodeHealthMessage(report({})).clusters ?? [])], []);
});

test("node ids and reports that exceed a limit are rejected with the limit's name", () => {
  const many = Object.fromEntries(Array.from({ length: 20_001 }, (_, index) => [`c${index}`, []]));
  for (const [bytes, limit] of [
    [request("m".repeat(513)), "node_id_length"],
    [report(many), "names_in_request"],
  ] as const) {
    try {
      decodeHealthMessage(bytes);
      assert.unreachable(limit);
    } catch (error) {
      assert.ok(error instanceof LimitExceeded, String(error));
      assert.is(error.limit, limit);
    }
  }
});

test("truncated or corrupted messages are decoded or rejected, without any other error", () => {
  const random = seeded(11);
  const good = Buffer.from(
    report({ "localhost:80": [HealthStatus.UNHEALTHY], "localhost:81": [HealthStatus.HEALTHY] }),
  );
  for (let round = 0; round < 5_000; round++) {
    const bytes = Buffer.from(good.subarray(0, random.below(good.length + 1)));
    if (bytes.length > 0) bytes[random.below(bytes.length)] = random.below(256);
    try {
      decodeHealthMessage(bytes);
    } catch (error) {
      assert.ok(error instanceof Error);
    }
  }
});

test.run();
