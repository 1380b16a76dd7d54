import { create, toBinary } from "@bufbuild/protobuf";
import { Map as PersistentMap } from "immutable";
import * as assert from "uvu/assert";
import { HealthStatus } from "../../../proto-gen/es/envoy/config/core/v3/health_check_pb.js";
import { HealthCheckRequestOrEndpointHealthResponseSchema } from "../../../proto-gen/es/envoy/service/health/v3/hds_pb.js";
import { localClusterName } from "../../../src/envoy/clusters.js";
import { createLogger } from "../../../src/lib/logger.js";
import type { GrpcCall } from "../../../src/net/grpc-server.js";
import { uncounted } from "../../../src/net/incidents.js";
import type { MeshView } from "../../../src/view/mesh-view.js";
import { createHealthServer } from "../../../src/xds/health/server.js";
import { dataplane, meshRecord, meshViewOf, stored } from "../../support/mesh-view.js";
import { suite } from "../../support/suite.js";

const test = suite("the health stream of a sidecar");

const schema = HealthCheckRequestOrEndpointHealthResponseSchema;
const { HEALTHY, UNHEALTHY } = HealthStatus;

const firstMessage = () =>
  Buffer.from(
    toBinary(
      schema,
      create(schema, { requestType: { case: "healthCheckRequest", value: { node: { id: "m.db-1" } } } }),
    ),
  );

function report(statuses: Readonly<Record<number, HealthStatus>>): Buffer {
  const clusterEndpointsHealth = Object.entries(statuses).map(([port, healthStatus]) => ({
    clusterName: localClusterName(Number(port)),
    localityEndpointsHealth: [{ endpointsHealth: [{ healthStatus }] }],
  }));
  const value = { clusterEndpointsHealth };
  return Buffer.from(toBinary(schema, create(schema, { requestType: { case: "endpointHealthResponse", value } })));
}

/** A mesh with one Dataplane, whose applications are checked, and what is known to be down. */
function meshWith({ down = [], threshold = 1, interval = "1s" }: Partial<Situation> = {}): MeshView {
  const conf = { activeChecks: { interval, timeout: "1s", unhealthyThreshold: threshold, healthyThreshold: 1 } };
  const everything = [{ match: { service: "*" } }];
  return meshViewOf(
    meshRecord(false),
    dataplane("db-1", {
      inbound: [
        { interface: "127.0.0.1:8000:80", tags: { service: "db" } },
        { interface: "127.0.0.1:8001:81", tags: { service: "admin" } },
      ],
    }),
    stored("HealthCheck", "all", { sources: everything, destinations: everything, conf }),
    ...(down.length === 0 ? [] : [stored("DataplaneHealth", "db-1", { down: [...down] })]),
  );
}

interface Situation {
  readonly down: readonly number[];
  readonly threshold: number;
  readonly interval: string;
}

/** A server in a situation; each stream is that of a new Envoy. */
function open(situation: Partial<Situation> = {}) {
  let now = 0;
  let mesh = meshWith(situation);
  const heard: (readonly number[])[] = [];
  const server = createHealthServer({
    view: () => PersistentMap([["m", mesh]]),
    observer: { applicationsDown: (_proxy, ports) => void heard.push(ports), disconnected() {} },
    logger: createLogger({ name: "test", level: "off" }),
    incidents: uncounted,
    now: () => now,
  });
  return {
    heard,
    knows(down: readonly number[]) {
      mesh = meshWith({ ...situation, down });
    },
    connect() {
      const call: GrpcCall = { peer: () => "", header: () => [], proved() {}, write() {}, end() {} };
      const listener = server.serve(call);
      listener.message(firstMessage());
      return (afterMs: number, statuses: Readonly<Record<number, HealthStatus>>) => {
        now += afterMs;
        listener.message(report(statuses));
      };
    },
  };
}

test("says at once that an application is down, and that it is well again once it was checked", () => {
  const { heard, knows, connect } = open();
  const reports = connect();
  reports(1_000, { 80: UNHEALTHY, 81: HEALTHY });
  assert.equal(heard, [[80]]);
  knows([80]);
  reports(1_000, { 80: HEALTHY, 81: HEALTHY });
  assert.equal(heard, [[80], []]);
});

test("ignores a report that was on its way when the checks were sent", () => {
  const { heard, connect } = open();
  connect()(100, { 80: UNHEALTHY, 81: UNHEALTHY });
  assert.equal(heard, []);
});

test("a new Envoy that has yet to check an application does not bring it back", () => {
  const { heard, connect } = open({ down: [80], threshold: 3, interval: "10s" });
  const reports = connect();
  for (let seconds = 5; seconds < 30; seconds += 5) reports(5_000, { 80: HEALTHY, 81: HEALTHY });
  assert.equal(heard, []);
  reports(5_000, { 80: UNHEALTHY, 81: HEALTHY });
  assert.equal(heard, [], "it is known");
  reports(5_000, { 80: HEALTHY, 81: HEALTHY });
  assert.equal(heard, [[]]);
});

test("the first report of an Envoy that lags does not bring an application back, however late it comes", () => {
  const { heard, connect } = open({ down: [80] });
  const reports = connect();
  reports(20_000, { 80: HEALTHY, 81: HEALTHY });
  assert.equal(heard, []);
  reports(1_000, { 80: HEALTHY, 81: HEALTHY });
  assert.equal(heard, [[]]);
});

test("what a new Envoy finds down is added to what is known", () => {
  const { heard, connect } = open({ down: [80] });
  connect()(1_000, { 80: HEALTHY, 81: UNHEALTHY });
  assert.equal(heard, [[80, 81]]);
});

test("an application that is checked once an hour is believed to be well after a minute", () => {
  const { heard, connect } = open({ down: [80], interval: "3600s" });
  const reports = connect();
  for (let seconds = 5; seconds < 60; seconds += 5) reports(5_000, { 80: HEALTHY, 81: HEALTHY });
  assert.equal(heard, []);
  reports(5_000, { 80: HEALTHY, 81: HEALTHY });
  assert.equal(heard, [[]]);
});

test.run();
