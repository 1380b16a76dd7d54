import { dump } from "js-yaml";
import * as assert from "uvu/assert";
import { builtInApi, successorOf } from "../../../src/envoy/raw/api.js";
import { readRaw } from "../../../src/envoy/raw/native.js";
import { typeUrls } from "../../../src/envoy/resource.js";
import { checkRaw } from "../../support/check-raw.js";
import { suite } from "../../support/suite.js";
import { address, upgradeCases } from "./raw-cases.js";

const test = suite("raw v2 resources");

/** The parsed resource, or its problems as text. */
function read(text: string) {
  const reading = readRaw(text);
  if (reading.valid) return reading.raw;
  throw new Error(reading.problems.map(({ field, message }) => `${field}: ${message}`).join("; "));
}

const json = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

for (const { what, v2, v3 } of upgradeCases) {
  test(what, () => {
    const upgraded = read(JSON.stringify(v2));
    assert.equal(upgraded.json, json(v3));
    assert.equal(checkRaw(JSON.stringify(v2)), []);
    // The equivalent v3 resource has the same bytes, as JSON and as YAML.
    const url = typeUrls[upgraded.kind];
    assert.is(read(JSON.stringify({ "@type": url, ...upgraded.json })).resource, upgraded.resource);
    assert.is(read(dump(json(v2))).resource, upgraded.resource);
  });
}

const types: readonly (readonly [v2: string, v3: string])[] = [
  ["envoy.api.v2.Cluster", "envoy.config.cluster.v3.Cluster"],
  ["envoy.api.v2.ClusterLoadAssignment", "envoy.config.endpoint.v3.ClusterLoadAssignment"],
  ["envoy.api.v2.Listener", "envoy.config.listener.v3.Listener"],
  ["envoy.api.v2.RouteConfiguration", "envoy.config.route.v3.RouteConfiguration"],
  ["envoy.api.v2.ScopedRouteConfiguration", "envoy.config.route.v3.ScopedRouteConfiguration"],
  ...[
    ...["Secret", "UpstreamTlsContext", "DownstreamTlsContext", "CertificateValidationContext", "TlsCertificate"],
    ...["SdsSecretConfig", "CommonTlsContext"],
  ].map((name) => [`envoy.api.v2.auth.${name}`, `envoy.extensions.transport_sockets.tls.v3.${name}`] as const),
  ...[
    ["tcp_proxy.v2.TcpProxy", "tcp_proxy.v3.TcpProxy"],
    ["http_connection_manager.v2.HttpConnectionManager", "http_connection_manager.v3.HttpConnectionManager"],
    ["rbac.v2.RBAC", "rbac.v3.RBAC"],
    ["echo.v2.Echo", "echo.v3.Echo"],
    ["sni_cluster.v2.SniCluster", "sni_cluster.v3.SniCluster"],
    ["direct_response.v2.Config", "direct_response.v3.Config"],
    ["redis_proxy.v2.RedisProxy", "redis_proxy.v3.RedisProxy"],
    ["mongo_proxy.v2.MongoProxy", "mongo_proxy.v3.MongoProxy"],
    ["rate_limit.v2.RateLimit", "ratelimit.v3.RateLimit"],
    ["local_rate_limit.v2alpha.LocalRateLimit", "local_ratelimit.v3.LocalRateLimit"],
    ["ext_authz.v2.ExtAuthz", "ext_authz.v3.ExtAuthz"],
  ].map(([v2, v3]) => [`envoy.config.filter.network.${v2}`, `envoy.extensions.filters.network.${v3}`] as const),
  ...[
    ["router.v2.Router", "router.v3.Router"],
    ["buffer.v2.Buffer", "buffer.v3.Buffer"],
    ["cors.v2.Cors", "cors.v3.Cors"],
    ["csrf.v2.CsrfPolicy", "csrf.v3.CsrfPolicy"],
    ["fault.v2.HTTPFault", "fault.v3.HTTPFault"],
    ["health_check.v2.HealthCheck", "health_check.v3.HealthCheck"],
    ["header_to_metadata.v2.Config", "header_to_metadata.v3.Config"],
    ["ip_tagging.v2.IPTagging", "ip_tagging.v3.IPTagging"],
    ["lua.v2.Lua", "lua.v3.Lua"],
    ["rbac.v2.RBACPerRoute", "rbac.v3.RBACPerRoute"],
    ["grpc_web.v2.GrpcWeb", "grpc_web.v3.GrpcWeb"],
    ["rate_limit.v2.RateLimit", "ratelimit.v3.RateLimit"],
    ["transcoder.v2.GrpcJsonTranscoder", "grpc_json_transcoder.v3.GrpcJsonTranscoder"],
    ["jwt_authn.v2alpha.JwtAuthentication", "jwt_authn.v3.JwtAuthentication"],
    ["grpc_stats.v2alpha.FilterConfig", "grpc_stats.v3.FilterConfig"],
    ["adaptive_concurrency.v2alpha.AdaptiveConcurrency", "adaptive_concurrency.v3.AdaptiveConcurrency"],
    ["ext_authz.v2.ExtAuthz", "ext_authz.v3.ExtAuthz"],
  ].map(([v2, v3]) => [`envoy.config.filter.http.${v2}`, `envoy.extensions.filters.http.${v3}`] as const),
  ...[
    ["original_dst", "OriginalDst"],
    ["tls_inspector", "TlsInspector"],
    ["http_inspector", "HttpInspector"],
    ["proxy_protocol", "ProxyProtocol"],
  ].map(
    ([directory, name]) =>
      [
        `envoy.config.filter.listener.${directory}.v2.${name}`,
        `envoy.extensions.filters.listener.${directory}.v3.${name}`,
      ] as const,
  ),
  ["envoy.config.filter.accesslog.v2.AccessLog", "envoy.config.accesslog.v3.AccessLog"],
  ["envoy.config.accesslog.v2.FileAccessLog", "envoy.extensions.access_loggers.file.v3.FileAccessLog"],
  [
    "envoy.config.accesslog.v2.HttpGrpcAccessLogConfig",
    "envoy.extensions.access_loggers.grpc.v3.HttpGrpcAccessLogConfig",
  ],
  [
    "envoy.config.accesslog.v2.TcpGrpcAccessLogConfig",
    "envoy.extensions.access_loggers.grpc.v3.TcpGrpcAccessLogConfig",
  ],
  ["envoy.config.rbac.v2.RBAC", "envoy.config.rbac.v3.RBAC"],
  [
    "envoy.config.grpc_credential.v2alpha.FileBasedMetadataConfig",
    "envoy.config.grpc_credential.v3.FileBasedMetadataConfig",
  ],
  ["envoy.config.cluster.aggregate.v2alpha.ClusterConfig", "envoy.extensions.clusters.aggregate.v3.ClusterConfig"],
  [
    "envoy.config.cluster.dynamic_forward_proxy.v2alpha.ClusterConfig",
    "envoy.extensions.clusters.dynamic_forward_proxy.v3.ClusterConfig",
  ],
  ["envoy.config.trace.v2.ZipkinConfig", "envoy.config.trace.v3.ZipkinConfig"],
  ["envoy.config.bootstrap.v2.Bootstrap", "envoy.config.bootstrap.v3.Bootstrap"],
  ["envoy.type.matcher.StringMatcher", "envoy.type.matcher.v3.StringMatcher"],
  ["envoy.type.FractionalPercent", "envoy.type.v3.FractionalPercent"],
  ["envoy.api.v2.core.Address", "envoy.config.core.v3.Address"],
  ["envoy.api.v2.cluster.OutlierDetection", "envoy.config.cluster.v3.OutlierDetection"],
  ["envoy.api.v2.endpoint.LbEndpoint", "envoy.config.endpoint.v3.LbEndpoint"],
  ["envoy.api.v2.listener.FilterChain", "envoy.config.listener.v3.FilterChain"],
  ["envoy.api.v2.route.VirtualHost", "envoy.config.route.v3.VirtualHost"],
];

for (const [v2, v3] of types) {
  test(`type ${v2}`, () => {
    assert.is(successorOf(v2), v3);
    assert.ok(builtInApi().registry.getMessage(v3), `${v3} is no type that we know`);
  });
}

test("types that v3 does not have have no successor", () => {
  for (const type of ["envoy.config.filter.http.gzip.v2.Gzip", "envoy.config.filter.http.squash.v2.Squash"]) {
    assert.is(successorOf(type), undefined);
  }
});

test("the clusters that a listener sends traffic to are known", () => {
  const hcm = {
    stat_prefix: "x",
    http_filters: [],
    route_config: {
      virtual_hosts: [
        {
          name: "v",
          domains: ["*"],
          routes: [
            { match: { prefix: "/a" }, route: { cluster: "a", request_mirror_policy: { cluster: "mirror" } } },
            { match: { prefix: "/" }, route: { weighted_clusters: { clusters: [{ name: "b" }, { name: "c" }] } } },
          ],
        },
      ],
    },
  };
  const chain = (name: string, config: object) => ({ filters: [{ name, config }] });
  const { resource } = read(
    JSON.stringify({
      "@type": "type.googleapis.com/envoy.api.v2.Listener",
      name: "l",
      address,
      filter_chains: [
        chain("envoy.http_connection_manager", hcm),
        chain("envoy.tcp_proxy", { cluster: "d" }),
        chain("envoy.tcp_proxy", { weighted_clusters: { clusters: [{ name: "e", weight: 1 }] } }),
      ],
    }),
  );
  assert.equal([...resource.clusters].sort(), ["a", "b", "c", "d", "e", "mirror"]);
  assert.ok(resource.raw);
});

test("the name by which a cluster requests its endpoints is known", () => {
  const edsName = (more: object) =>
    read(JSON.stringify({ "@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster", name: "c", ...more }))
      .resource.edsName;
  assert.is(edsName({ type: "EDS" }), "c");
  assert.is(edsName({ type: 3 }), "c");
  assert.is(edsName({ type: "EDS", edsClusterConfig: { serviceName: "other" } }), "other");
  assert.is(edsName({ type: "EDS", eds_cluster_config: { service_name: "other" } }), "other");
  assert.is(edsName({ type: "EDS", edsClusterConfig: { serviceName: "" } }), "c");
  assert.is(edsName({ type: "STATIC", edsClusterConfig: { serviceName: "other" } }), undefined);
});

test("a v3 listener stays unchanged, including deprecated fields", () => {
  const listener = {
    name: "l",
    address,
    filterChains: [
      {
        filters: [
          {
            name: "my name for it",
            typedConfig: {
              "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
              statPrefix: "x",
              cluster: "c",
              accessLog: [
                {
                  name: "log",
                  typedConfig: {
                    "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
                    path: "/dev/null",
                    format: "x",
                  },
                },
              ],
            },
          },
        ],
      },
    ],
  };
  assert.equal(read(JSON.stringify({ "@type": typeUrls.lds, ...listener })).json, listener);
});

test("an extension without known descriptors can be configured by a Struct", () => {
  for (const type of ["xds.type.v3.TypedStruct", "udpa.type.v1.TypedStruct"]) {
    const typedConfig = { "@type": `type.googleapis.com/${type}`, typeUrl: "x/mine", value: { any: ["thing"] } };
    const listener = { name: "l", address, filterChains: [{ filters: [{ name: "mine", typedConfig }] }] };
    assert.equal(read(JSON.stringify({ "@type": typeUrls.lds, ...listener })).json, listener);
  }
});

test("the order of map entries makes no difference", () => {
  const withTags = (...names: string[]) =>
    read(
      JSON.stringify({
        "@type": typeUrls.cds,
        name: "c",
        metadata: { filterMetadata: Object.fromEntries(names.map((name) => [name, {}])) },
      }),
    ).resource;
  assert.is(withTags("a", "b"), withTags("b", "a"));
});

test.run();
