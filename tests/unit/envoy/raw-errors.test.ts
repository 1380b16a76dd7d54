import * as assert from "uvu/assert";
import { readRaw } from "../../../src/envoy/raw/native.js";
import { typeUrls } from "../../../src/envoy/resource.js";
import { checkRaw } from "../../support/check-raw.js";
import { suite } from "../../support/suite.js";
import { address } from "./raw-cases.js";

const test = suite("raw resources reject");

const v2 = (name: string) => `type.googleapis.com/envoy.api.v2.${name}`;
const named = { "@type": v2("Cluster"), name: "c" };

const words = (text: string) => checkRaw(text).map(({ field, message }) => `${field}: ${message}`);

function refused(title: string, resource: unknown, ...expected: readonly string[]): void {
  test(title, () => {
    const text = typeof resource === "string" ? resource : JSON.stringify(resource);
    assert.equal(words(text), expected);
  });
}

const filter = (name: string, config: object | undefined) => ({
  "@type": v2("Listener"),
  name: "l",
  address,
  filterChains: [{ filters: [{ name, config }] }],
});
const manager = (more: object) =>
  filter("envoy.http_connection_manager", { statPrefix: "x", routeConfig: {}, ...more });
const inFilter = "filterChains[0].filters[0]";
const accepted = Object.values(typeUrls)
  .map((url) => url.slice(url.indexOf("/") + 1))
  .join(", ");

refused("text that is no YAML", "a: b: c", ": bad indentation of a mapping entry (line 1, column 5)");
refused(
  "a type that is unknown",
  { ...named, "@type": "type.googleapis.com/envoy.api.v2.Clutser" },
  `@type: "envoy.api.v2.Clutser" is no type of Envoy's v3 API, and none of it replaces that`,
);
refused(
  "a type that v3 lacks",
  { "@type": "type.googleapis.com/envoy.config.filter.http.squash.v2.Squash" },
  `@type: "envoy.config.filter.http.squash.v2.Squash" is no type of Envoy's v3 API, and none of it replaces that`,
);
refused(
  "a type that is sent to no Envoy",
  { "@type": v2("ScopedRouteConfiguration"), name: "s" },
  `@type: "envoy.api.v2.ScopedRouteConfiguration" is no resource that Envoy is sent; accepted are ${accepted}`,
);
refused(
  "a type of something else",
  { "@type": "type.googleapis.com/google.protobuf.Struct", value: {} },
  `@type: "google.protobuf.Struct" is no resource that Envoy is sent; accepted are ${accepted}`,
);

refused(
  "a misspelt field, with the one that was meant",
  { ...named, loadAssignment: { endpoint: [] } },
  'loadAssignment.endpoint: unknown field; did you mean "endpoints"?',
);
refused(
  "a misspelt field in snake case",
  { ...named, load_assignment: { lodAssignment: 1, cluster_nam: "x" } },
  "loadAssignment.lodAssignment: unknown field of envoy.config.endpoint.v3.ClusterLoadAssignment",
  'loadAssignment.cluster_nam: unknown field; did you mean "clusterName"?',
);
refused(
  "a field of v2 in a message of v3",
  { "@type": typeUrls.cds, name: "c", hosts: [] },
  "hosts: unknown field of envoy.config.cluster.v3.Cluster",
);
refused(
  "a field that is given twice",
  { ...named, connectTimeout: "1s", connect_timeout: "2s" },
  'connect_timeout: the field is given twice, as "connectTimeout" too',
);
refused(
  "two of which only one can be",
  filter("envoy.tcp_proxy", { statPrefix: "x", cluster: "a", weightedClusters: {} }),
  `${inFilter}.config.weightedClusters: only one of "cluster" and "weightedClusters" can be set`,
);
refused(
  "all mistakes at once",
  { ...named, type: "STATICC", a: 1, connectTimeout: 5 },
  'type: unknown value "STATICC"; did you mean "STATIC"?',
  "a: unknown field of envoy.config.cluster.v3.Cluster",
  'connectTimeout: expected a duration in seconds such as "5s" or "0.25s", got the number 5',
);

const port = "loadAssignment.endpoints[0].lbEndpoints[0].endpoint.address.socketAddress.portValue";
const withPort = (portValue: unknown) => ({
  ...named,
  loadAssignment: {
    clusterName: "c",
    endpoints: [{ lbEndpoints: [{ endpoint: { address: { socketAddress: { address: "127.0.0.1", portValue } } } }] }],
  },
});
refused(
  "a port that is no number",
  withPort("http"),
  `${port}: expected a whole number from 0 to 4294967295, got the text "http"`,
);
refused(
  "a port with a fraction",
  withPort(1.5),
  `${port}: expected a whole number from 0 to 4294967295, got the number 1.5`,
);
refused("a port beyond the last", withPort(70_000), `${port}: has to be at most 65535`);
refused("an object where text belongs", { ...named, altStatName: {} }, "altStatName: expected text, got an object");
refused(
  "text where an object belongs",
  { ...named, loadAssignment: "x" },
  'loadAssignment: expected an object, got the text "x"',
);
refused(
  "text where a list belongs",
  { ...named, healthChecks: "x" },
  'healthChecks: expected a list, got the text "x"',
);
refused(
  "one object where v3 wants a list",
  { "@type": typeUrls.cds, name: "c", healthChecks: {} },
  "healthChecks: expected a list, got an object",
);
refused(
  "a list where a map belongs",
  { ...named, typedExtensionProtocolOptions: [] },
  "typedExtensionProtocolOptions: expected an object of keys and values, got a list",
);
refused(
  "text where true or false belongs",
  { ...named, respectDnsTtl: "yes" },
  'respectDnsTtl: expected true or false, got the text "yes"',
);
refused(
  "an Any that is text",
  { ...named, transportSocket: { typedConfig: "x" } },
  'transportSocket.typedConfig: expected an object with "@type", got the text "x"',
);
refused(
  "an Any without a type",
  { ...named, transportSocket: { typedConfig: {} } },
  'transportSocket.typedConfig: needs "@type", such as type.googleapis.com/envoy.config.cluster.v3.Cluster',
);
refused(
  "an Any of a type in the wrong package",
  {
    ...named,
    transportSocket: { typedConfig: { "@type": "type.googleapis.com/envoy.extensions.tls.v3.UpstreamTlsContext" } },
  },
  'transportSocket.typedConfig["@type"]: unknown type "envoy.extensions.tls.v3.UpstreamTlsContext"; did you mean "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"?',
);
refused(
  "an Any of a type that v3 lacks",
  {
    ...named,
    transportSocket: { typedConfig: { "@type": "type.googleapis.com/envoy.config.filter.http.gzip.v2.Gzip" } },
  },
  `transportSocket.typedConfig: "envoy.config.filter.http.gzip.v2.Gzip" is no type of Envoy's v3 API, and none of it replaces that`,
);

refused("a resource without a name", { "@type": typeUrls.rds }, "name: cannot be empty");
refused("an assignment without a name", { "@type": typeUrls.eds }, "clusterName: cannot be empty");

refused(
  "a filter that Envoy no longer has",
  manager({ httpFilters: [{ name: "envoy.gzip", config: {} }, { name: "envoy.squash" }] }),
  `${inFilter}.config.httpFilters[0].name: Envoy no longer has "envoy.gzip"`,
  `${inFilter}.config.httpFilters[1].name: Envoy no longer has "envoy.squash"`,
);
refused(
  "a network filter that Envoy no longer has",
  filter("envoy.client_ssl_auth", {}),
  `${inFilter}.name: Envoy no longer has "envoy.client_ssl_auth"`,
);
refused(
  "config of an unknown filter",
  filter("mine", {}),
  `${inFilter}.config: no type is known for the configuration of "mine"; write typedConfig with its @type`,
);
refused("config that is no object", filter("envoy.tcp_proxy", [1]), `${inFilter}.config: expected an object`);
refused(
  "config and typedConfig",
  {
    ...filter("envoy.tcp_proxy", {}),
    filterChains: [{ filters: [{ name: "envoy.tcp_proxy", config: {}, typedConfig: {} }] }],
  },
  `${inFilter}.config: only one of "config" and "typedConfig" can be set`,
  `${inFilter}.typedConfig: needs "@type", such as type.googleapis.com/envoy.config.cluster.v3.Cluster`,
);
refused(
  "perFilterConfig of a filter that Envoy no longer has",
  {
    "@type": v2("RouteConfiguration"),
    name: "r",
    virtualHosts: [{ name: "v", domains: ["*"], perFilterConfig: { "envoy.gzip": {}, mine: {} } }],
  },
  'virtualHosts[0].perFilterConfig: Envoy no longer has "envoy.gzip"',
  'virtualHosts[0].perFilterConfig: no type is known for the configuration of "mine"; write typedPerFilterConfig with its @type',
);
refused(
  "a mistake in perFilterConfig, where it was written",
  {
    "@type": v2("RouteConfiguration"),
    name: "r",
    virtualHosts: [{ name: "v", domains: ["*"], perFilterConfig: { "envoy.buffer": { disable: true } } }],
  },
  'virtualHosts[0].perFilterConfig["envoy.buffer"].disable: unknown field; did you mean "disabled"?',
);
refused(
  "a mistake in hosts, where it was written",
  { ...named, hosts: [{ socketAddres: {} }] },
  'hosts[0].socketAddres: unknown field; did you mean "socketAddress"?',
);
refused(
  "a mistake in tlsContext, where it was written",
  { ...named, tls_context: { snj: "x" } },
  'tlsContext.snj: unknown field; did you mean "sni"?',
);
refused(
  "hosts beside loadAssignment",
  { ...named, hosts: [address], loadAssignment: {} },
  'hosts: only one of "hosts" and "loadAssignment" can be set',
);
refused(
  "tlsContext beside transportSocket",
  { ...named, tls_context: {}, transport_socket: { name: "tls" } },
  'tls_context: only one of "tlsContext" and "transportSocket" can be set',
);
refused(
  "routes of a TCP proxy in the manner of v1",
  filter("envoy.tcp_proxy", { statPrefix: "x", deprecated_v1: { routes: [] } }),
  `${inFilter}.config.deprecated_v1: can't be expressed in v3: write one filter chain, or one listener, for each route`,
);
refused(
  "deprecatedV1 of a listener with more than bindToPort",
  { "@type": v2("Listener"), name: "l", address, deprecatedV1: { x: 1 } },
  'deprecatedV1: can hold nothing but "bindToPort"',
);
for (const apiType of [undefined, "UNSUPPORTED_REST_LEGACY", 0]) {
  refused(
    `an API type ${apiType}`,
    { ...named, edsClusterConfig: { edsConfig: { apiConfigSource: { apiType, clusterNames: ["x"] } } } },
    "edsClusterConfig.edsConfig.apiConfigSource.apiType: has to be GRPC, DELTA_GRPC or REST",
  );
}
refused(
  "an API type of two versions ago",
  { ...named, edsClusterConfig: { edsConfig: { apiConfigSource: { apiType: "REST_LEGACY" } } } },
  'edsClusterConfig.edsConfig.apiConfigSource.apiType: unknown value "REST_LEGACY"; known are: DEPRECATED_AND_UNAVAILABLE_DO_NOT_USE, REST, GRPC, DELTA_GRPC, AGGREGATED_GRPC, AGGREGATED_DELTA_GRPC',
);
refused(
  "names of certificates asked for in two ways",
  {
    ...named,
    tlsContext: {
      commonTlsContext: { validationContext: { verifySubjectAltName: ["a"], matchSubjectAltNames: [{ exact: "b" }] } },
    },
  },
  `tlsContext.commonTlsContext.validationContext.verifySubjectAltName: v3 can't ask for this and for "matchSubjectAltNames" at once`,
);
refused(
  "a Zipkin that speaks its first version",
  manager({
    httpFilters: [],
    tracing: { provider: { name: "envoy.zipkin", config: { collectorCluster: "c", collectorEndpoint: "/" } } },
  }),
  `${inFilter}.config.tracing.provider.config.collectorEndpointVersion: has to be HTTP_JSON or HTTP_PROTO: HTTP_JSON_V1, the default of v2, no longer exists`,
);
refused(
  "overprovisioning switched off",
  { ...named, loadAssignment: { clusterName: "c", policy: { disableOverprovisioning: true } } },
  "loadAssignment.policy.disableOverprovisioning: has no counterpart in v3",
);

refused(
  "what breaks a rule of Envoy's API",
  { ...named, name: "", connectTimeout: "0s", perConnectionBufferLimitBytes: 1 },
  "name: cannot be empty",
);
refused(
  "bounds",
  {
    ...named,
    connectTimeout: "0s",
    healthChecks: [
      { timeout: "1s", unhealthyThreshold: 1, healthyThreshold: 1, interval: "0s", httpHealthCheck: { path: "" } },
    ],
  },
  "connectTimeout: has to be more than 0s",
  "healthChecks[0].interval: has to be more than 0s",
  "healthChecks[0].httpHealthCheck.path: cannot be empty",
);
refused(
  "what has to be set",
  { ...named, healthChecks: [{}] },
  'healthChecks[0]: needs one of "httpHealthCheck", "tcpHealthCheck", "grpcHealthCheck", "customHealthCheck"',
  "healthChecks[0].timeout: has to be set",
  "healthChecks[0].interval: has to be set",
  "healthChecks[0].unhealthyThreshold: has to be set",
  "healthChecks[0].healthyThreshold: has to be set",
);
refused(
  "what has to have elements, inside an Any",
  filter("envoy.tcp_proxy", { statPrefix: "", weightedClusters: {} }),
  `${inFilter}.typedConfig.statPrefix: cannot be empty`,
  `${inFilter}.typedConfig.weightedClusters.clusters: cannot be empty`,
);
refused("a number that names nothing", { ...named, lbPolicy: 99 }, "lbPolicy: 99 is no value of LbPolicy");

test("only problems that a newer API may accept count as newer", () => {
  const newer = (resource: object) => checkRaw(JSON.stringify(resource)).map((problem) => problem.newer);
  assert.equal(newer({ ...named, ofTomorrow: 1 }), [true]);
  assert.equal(newer({ ...named, lbPolicy: "OF_TOMORROW" }), [true]);
  assert.equal(newer({ ...named, connectTimeout: "0s" }), [true]);
  assert.equal(
    newer({ ...named, transportSocket: { typedConfig: { "@type": "type.googleapis.com/envoy.x.v3.Tomorrow" } } }),
    [true],
  );
  assert.equal(newer({ ...named, lbPolicy: [], connectTimeout: 1 }), [false, false]);
  assert.equal(newer({ ...named, hosts: 1, loadAssignment: {} }), [false]);
});

test("a resource that violates a constraint is still encoded: Envoy decides", () => {
  const reading = readRaw(JSON.stringify({ ...named, connectTimeout: "0s" }));
  assert.ok(reading.valid);
});

test("a hostile resource takes bounded time and results in an error", () => {
  const deep = `{"@type":"${typeUrls.cds}","name":"c","metadata":{"filterMetadata":{"x":${'{"x":'.repeat(99)}1${"}".repeat(99)}}}}`;
  assert.match(words(deep)[0] ?? "", "nesting exceeded maxDepth (100)");
  const many = { ...named, ...Object.fromEntries(Array.from({ length: 5_000 }, (_, index) => [`field${index}`, 1])) };
  assert.is(words(JSON.stringify(many)).length, 20);
  const more = { ...named, metadata: { filterMetadata: { x: { list: Array.from({ length: 10_000 }, () => 0) } } } };
  assert.match(words(JSON.stringify(more))[0] ?? "", "more than 10000 values");
  assert.ok(readRaw(JSON.stringify(more)).valid, "what is stored already is read");
  for (const key of ["__proto__", "constructor", "toString"]) {
    assert.match(words(`{"@type":"${typeUrls.cds}","name":"c","${key}":{"x":1}}`)[0] ?? "", `${key}: unknown field`);
    assert.match(words(`{"@type":"${v2("Cluster")}","name":"c","${key}":{"x":1}}`)[0] ?? "", `${key}: unknown field`);
    const inMap = `{"@type":"${v2("Cluster")}","name":"c","metadata":{"filterMetadata":{"${key}":{"x":1}}}}`;
    assert.equal(words(inMap), []);
  }
  const regex = {
    ...named,
    edsClusterConfig: {
      edsConfig: { apiConfigSource: { apiType: "GRPC", requestTimeout: `${"1".repeat(100_000)}s` } },
    },
  };
  assert.match(words(JSON.stringify(regex))[0] ?? "", "expected a duration");
});

test.run();
