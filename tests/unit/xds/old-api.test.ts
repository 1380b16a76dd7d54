import * as assert from "uvu/assert";
import { createLogger } from "../../../src/lib/logger.js";
import { createOldApi } from "../../../src/xds/old-api.js";
import { suite } from "../../support/suite.js";

const test = suite("Envoys without the v3 API");

test("get an error that they are too old, and the log says so once a minute", () => {
  const lines: string[] = [];
  const logger = createLogger({ name: "test", level: "info", write: (line) => void lines.push(line) });
  let at = 0;
  const said = createOldApi(logger, () => new Date(at));
  const old = [
    "/envoy.service.discovery.v2.AggregatedDiscoveryService/StreamAggregatedResources",
    "/envoy.service.discovery.v2.AggregatedDiscoveryService/DeltaAggregatedResources",
    "/envoy.service.discovery.v2.SecretDiscoveryService/StreamSecrets",
    "/envoy.api.v2.ClusterDiscoveryService/StreamClusters",
    "/envoy.service.load_stats.v2.LoadReportingService/StreamLoadStats",
  ];
  for (const path of old)
    assert.match(said(path)?.details ?? "", /serves xDS v3 only.* too old; use the kuma-dp and the envoy/);
  assert.is(lines.length, 1);
  at = 59_999;
  said(old[0] ?? "");
  assert.is(lines.length, 1);
  at = 60_000;
  said(old[0] ?? "");
  assert.is(lines.length, 2);
  for (const path of [
    "/",
    "",
    "/envoy.service.discovery.v3.X/Y",
    "/a/envoy.api.v2.X/Y",
    `/envoy.api.v2.${"x".repeat(200)}/Y`,
  ]) {
    assert.is(said(path), undefined, path);
  }
});

test.run();
