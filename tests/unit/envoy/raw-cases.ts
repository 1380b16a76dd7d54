/** v2 resources that differ from v3 in one way each, and the expected v3 resources. */
export interface UpgradeCase {
  readonly what: string;
  readonly v2: unknown;
  readonly v3: unknown;
  /** Why the result can't be validated by a real Envoy: it needs something that only the user's machine has. */
  readonly unasked?: string;
}

const url = (type: string) => `type.googleapis.com/${type}`;
const typed = (type: string, content: object = {}) => ({ "@type": url(type), ...content });

export const address = { socketAddress: { address: "127.0.0.1", portValue: 8443 } };
const snakeAddress = { socket_address: { address: "127.0.0.1", port_value: 8443 } };

const upstreamTls = "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext";
const downstreamTls = "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext";
const manager = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
const tcpProxy = "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy";
const fileLog = "envoy.extensions.access_loggers.file.v3.FileAccessLog";

function cluster(what: string, v2: object, v3: object, unasked?: string): UpgradeCase {
  const common = { name: "c", connectTimeout: "5s" };
  const made = {
    what: `Cluster: ${what}`,
    v2: typed("envoy.api.v2.Cluster", { ...common, ...v2 }),
    v3: { ...common, ...v3 },
  };
  return unasked === undefined ? made : { ...made, unasked };
}

function listener(what: string, v2: object, v3: object, unasked?: string): UpgradeCase {
  const common = { name: "l", address };
  const made = {
    what: `Listener: ${what}`,
    v2: typed("envoy.api.v2.Listener", { ...common, ...v2 }),
    v3: { ...common, ...v3 },
  };
  return unasked === undefined ? made : { ...made, unasked };
}

/** A listener with one filter, which v2 configures in `config`. */
function filter(
  what: string,
  name: string,
  config: object,
  type: string,
  content: object,
  modern: string,
): UpgradeCase {
  return listener(
    what,
    { filter_chains: [{ filters: [{ name, config }] }] },
    { filterChains: [{ filters: [{ name: modern, typedConfig: typed(type, content) }] }] },
  );
}

const tcp = (what: string, v2: object, v3: object) =>
  filter(
    what,
    "envoy.tcp_proxy",
    { stat_prefix: "x", ...v2 },
    tcpProxy,
    { statPrefix: "x", ...v3 },
    "envoy.filters.network.tcp_proxy",
  );

const router = {
  name: "envoy.filters.http.router",
  typedConfig: typed("envoy.extensions.filters.http.router.v3.Router"),
};
const noRoutes = { name: "r", virtualHosts: [] };

const http = (what: string, v2: object, v3: object) =>
  filter(
    what,
    "envoy.http_connection_manager",
    { stat_prefix: "x", route_config: noRoutes, http_filters: [{ name: "envoy.router" }], ...v2 },
    manager,
    { statPrefix: "x", routeConfig: noRoutes, httpFilters: [router], ...v3 },
    "envoy.filters.network.http_connection_manager",
  );

function virtualHost(what: string, v2: object, v3: object): UpgradeCase {
  const common = { name: "v", domains: ["*"] };
  return {
    what: `VirtualHost: ${what}`,
    v2: typed("envoy.api.v2.RouteConfiguration", { name: "r", virtual_hosts: [{ ...common, ...v2 }] }),
    v3: { name: "r", virtualHosts: [{ ...common, ...v3 }] },
  };
}

const action = { cluster: "c" };
const route = (what: string, v2: object, v3: object) => virtualHost(what, { routes: [v2] }, { routes: [v3] });
const match = (what: string, v2: object, v3: object) =>
  route(what, { match: { prefix: "/", ...v2 }, route: action }, { match: { prefix: "/", ...v3 }, route: action });
const routeAction = (what: string, v2: object, v3: object) =>
  route(
    what,
    { match: { prefix: "/" }, route: { ...action, ...v2 } },
    { match: { prefix: "/" }, route: { ...action, ...v3 } },
  );

const log = (what: string, v2: object, v3: object) =>
  tcp(what, { cluster: "c", access_log: [v2] }, { cluster: "c", accessLog: [v3] });

const checks = { timeout: "1s", interval: "1s", unhealthyThreshold: 1, healthyThreshold: 1 };
const healthCheck = (what: string, v2: object, v3: object, unasked?: string) =>
  cluster(what, { health_checks: [{ ...checks, ...v2 }] }, { healthChecks: [{ ...checks, ...v3 }] }, unasked);

const ads = { ads: {}, resourceApiVersion: "V3" };
const grpc = { envoyGrpc: { clusterName: "c" } };
const grpcServices = [grpc];

/** Network filters with few required fields: v2 name, v3 name, type, required fields. */
const networkFilters: readonly [name: string, modern: string, type: string, v2?: object, v3?: object][] = [
  [
    "envoy.redis_proxy",
    "redis_proxy",
    "redis_proxy.v3.RedisProxy",
    { stat_prefix: "x", settings: { op_timeout: "1s" }, cluster: "c" },
    { statPrefix: "x", settings: { opTimeout: "1s" }, prefixRoutes: { catchAllRoute: { cluster: "c" } } },
  ],
  ["envoy.mongo_proxy", "mongo_proxy", "mongo_proxy.v3.MongoProxy", { stat_prefix: "x" }, { statPrefix: "x" }],
  ["envoy.echo", "echo", "echo.v3.Echo"],
  ["envoy.filters.network.sni_cluster", "sni_cluster", "sni_cluster.v3.SniCluster"],
  ["envoy.filters.network.rbac", "rbac", "rbac.v3.RBAC", { stat_prefix: "x" }, { statPrefix: "x" }],
  ["envoy.filters.network.direct_response", "direct_response", "direct_response.v3.Config"],
  [
    "envoy.ratelimit",
    "ratelimit",
    "ratelimit.v3.RateLimit",
    {
      stat_prefix: "x",
      domain: "d",
      descriptors: [{ entries: [{ key: "k", value: "v" }] }],
      rate_limit_service: { grpc_service: grpc },
    },
    {
      statPrefix: "x",
      domain: "d",
      descriptors: [{ entries: [{ key: "k", value: "v" }] }],
      rateLimitService: { grpcService: grpc, transportApiVersion: "V3" },
    },
  ],
  [
    "envoy.filters.network.local_ratelimit",
    "local_ratelimit",
    "local_ratelimit.v3.LocalRateLimit",
    { stat_prefix: "x", token_bucket: { max_tokens: 1, fill_interval: "1s" } },
    { statPrefix: "x", tokenBucket: { maxTokens: 1, fillInterval: "1s" } },
  ],
  [
    "envoy.ext_authz",
    "ext_authz",
    "ext_authz.v3.ExtAuthz",
    { stat_prefix: "x", grpc_service: grpc },
    { statPrefix: "x", grpcService: grpc, transportApiVersion: "V3" },
  ],
];

const httpFilters: readonly [name: string, modern: string, type: string, v2?: object, v3?: object][] = [
  [
    "envoy.fault",
    "fault",
    "fault.v3.HTTPFault",
    { delay: { type: "FIXED", fixed_delay: "1s", percentage: { numerator: 1 } } },
    { delay: { fixedDelay: "1s", percentage: { numerator: 1 } } },
  ],
  ["envoy.cors", "cors", "cors.v3.Cors"],
  ["envoy.buffer", "buffer", "buffer.v3.Buffer", { max_request_bytes: 1000 }, { maxRequestBytes: 1000 }],
  ["envoy.lua", "lua", "lua.v3.Lua", { inline_code: "a = 1" }, { inlineCode: "a = 1" }],
  [
    "envoy.health_check",
    "health_check",
    "health_check.v3.HealthCheck",
    { pass_through_mode: false },
    { passThroughMode: false },
  ],
  ["envoy.grpc_web", "grpc_web", "grpc_web.v3.GrpcWeb"],
  [
    "envoy.rate_limit",
    "ratelimit",
    "ratelimit.v3.RateLimit",
    { domain: "d", rate_limit_service: { grpc_service: grpc } },
    { domain: "d", rateLimitService: { grpcService: grpc, transportApiVersion: "V3" } },
  ],
  [
    "envoy.ext_authz",
    "ext_authz",
    "ext_authz.v3.ExtAuthz",
    { grpc_service: grpc },
    { grpcService: grpc, transportApiVersion: "V3" },
  ],
  [
    "envoy.ip_tagging",
    "ip_tagging",
    "ip_tagging.v3.IPTagging",
    { ip_tags: [{ ip_tag_name: "a", ip_list: [{ address_prefix: "10.0.0.0", prefix_len: 8 }] }] },
    { ipTags: [{ ipTagName: "a", ipList: [{ addressPrefix: "10.0.0.0", prefixLen: 8 }] }] },
  ],
  [
    "envoy.filters.http.csrf",
    "csrf",
    "csrf.v3.CsrfPolicy",
    { filter_enabled: { default_value: { numerator: 1 } } },
    { filterEnabled: { defaultValue: { numerator: 1 } } },
  ],
  [
    "envoy.filters.http.header_to_metadata",
    "header_to_metadata",
    "header_to_metadata.v3.Config",
    { request_rules: [{ header: "h", on_header_present: { key: "k" } }] },
    { requestRules: [{ header: "h", onHeaderPresent: { key: "k" } }] },
  ],
  ["envoy.filters.http.jwt_authn", "jwt_authn", "jwt_authn.v3.JwtAuthentication"],
  ["envoy.filters.http.rbac", "rbac", "rbac.v3.RBAC"],
  ["envoy.filters.http.grpc_stats", "grpc_stats", "grpc_stats.v3.FilterConfig"],
  [
    "envoy.filters.http.adaptive_concurrency",
    "adaptive_concurrency",
    "adaptive_concurrency.v3.AdaptiveConcurrency",
    {
      gradient_controller_config: {
        concurrency_limit_params: { concurrency_update_interval: "1s" },
        min_rtt_calc_params: { interval: "60s" },
      },
    },
    {
      gradientControllerConfig: {
        concurrencyLimitParams: { concurrencyUpdateInterval: "1s" },
        minRttCalcParams: { interval: "60s" },
      },
    },
  ],
];

const listenerFilters: readonly [name: string, modern: string, type: string][] = [
  ["envoy.listener.original_dst", "original_dst", "original_dst.v3.OriginalDst"],
  ["envoy.listener.tls_inspector", "tls_inspector", "tls_inspector.v3.TlsInspector"],
  ["envoy.listener.http_inspector", "http_inspector", "http_inspector.v3.HttpInspector"],
  ["envoy.listener.proxy_protocol", "proxy_protocol", "proxy_protocol.v3.ProxyProtocol"],
];

const trustedCa = "needs the certificate of a CA";

export const upgradeCases: readonly UpgradeCase[] = [
  cluster(
    "hosts",
    { type: "STATIC", hosts: [snakeAddress] },
    {
      type: "STATIC",
      loadAssignment: { clusterName: "c", endpoints: [{ lbEndpoints: [{ endpoint: { address } }] }] },
    },
  ),
  cluster(
    "hosts that are a single object",
    { type: "STATIC", hosts: snakeAddress },
    {
      type: "STATIC",
      loadAssignment: { clusterName: "c", endpoints: [{ lbEndpoints: [{ endpoint: { address } }] }] },
    },
  ),
  cluster(
    "tlsContext",
    { tls_context: { sni: "s" } },
    {
      transportSocket: { name: "envoy.transport_sockets.tls", typedConfig: typed(upstreamTls, { sni: "s" }) },
    },
  ),
  cluster(
    "transport socket `tls` with config",
    { transport_socket: { name: "tls", config: { sni: "s" } } },
    {
      transportSocket: { name: "envoy.transport_sockets.tls", typedConfig: typed(upstreamTls, { sni: "s" }) },
    },
  ),
  cluster(
    "transport socket `raw_buffer` without any",
    { transport_socket: { name: "raw_buffer" } },
    {
      transportSocket: {
        name: "envoy.transport_sockets.raw_buffer",
        typedConfig: typed("envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer"),
      },
    },
  ),
  cluster(
    "sockets chosen by match",
    { transport_socket_matches: [{ name: "m", transport_socket: { name: "tls" } }] },
    {
      transportSocketMatches: [
        { name: "m", transportSocket: { name: "envoy.transport_sockets.tls", typedConfig: typed(upstreamTls) } },
      ],
    },
  ),
  cluster(
    "extensionProtocolOptions",
    { extension_protocol_options: { "envoy.redis_proxy": { auth_password: { inline_string: "p" } } } },
    {
      typedExtensionProtocolOptions: {
        "envoy.filters.network.redis_proxy": typed(
          "envoy.extensions.filters.network.redis_proxy.v3.RedisProtocolOptions",
          {
            authPassword: { inlineString: "p" },
          },
        ),
      },
    },
  ),
  cluster(
    "typedExtensionProtocolOptions under an old name",
    {
      typed_extension_protocol_options: {
        "envoy.redis_proxy": typed("envoy.config.filter.network.redis_proxy.v2.RedisProtocolOptions"),
      },
    },
    {
      typedExtensionProtocolOptions: {
        "envoy.filters.network.redis_proxy": typed(
          "envoy.extensions.filters.network.redis_proxy.v3.RedisProtocolOptions",
        ),
      },
    },
  ),
  cluster(
    "lbPolicy ORIGINAL_DST_LB",
    { type: "ORIGINAL_DST", lb_policy: "ORIGINAL_DST_LB" },
    {
      type: "ORIGINAL_DST",
      lbPolicy: "CLUSTER_PROVIDED",
    },
  ),
  cluster(
    "drainConnectionsOnHostRemoval",
    { drain_connections_on_host_removal: true },
    { ignoreHealthOnHostRemoval: true },
  ),
  cluster(
    "options that Envoy still takes",
    {
      http2_protocol_options: {},
      common_http_protocol_options: { idle_timeout: "1s" },
      max_requests_per_connection: 3,
    },
    { http2ProtocolOptions: {}, commonHttpProtocolOptions: { idleTimeout: "1s" }, maxRequestsPerConnection: 3 },
  ),
  cluster(
    "EDS over ADS",
    { type: "EDS", eds_cluster_config: { eds_config: { ads: {} } } },
    {
      type: "EDS",
      edsClusterConfig: { edsConfig: ads },
    },
    "static configuration has no ADS",
  ),
  cluster(
    "EDS over gRPC of its own",
    {
      type: "EDS",
      eds_cluster_config: { eds_config: { api_config_source: { api_type: "GRPC", grpc_services: grpcServices } } },
    },
    {
      type: "EDS",
      edsClusterConfig: {
        edsConfig: {
          apiConfigSource: { apiType: "GRPC", grpcServices, transportApiVersion: "V3" },
          resourceApiVersion: "V3",
        },
      },
    },
    "needs another cluster for gRPC",
  ),
  cluster(
    "an explicit V2 of a version that is over",
    { type: "EDS", eds_cluster_config: { eds_config: { ads: {}, resource_api_version: "V2" } } },
    {
      type: "EDS",
      edsClusterConfig: { edsConfig: ads },
    },
    "static configuration has no ADS",
  ),
  healthCheck(
    "HTTP health check over HTTP/2",
    { http_health_check: { path: "/", use_http2: true } },
    {
      httpHealthCheck: { path: "/", codecClientType: "HTTP2" },
    },
  ),
  healthCheck(
    "HTTP health check, useHttp2: false",
    { http_health_check: { path: "/", use_http2: false } },
    {
      httpHealthCheck: { path: "/" },
    },
  ),
  healthCheck(
    "serviceName of an HTTP health check",
    { http_health_check: { path: "/", service_name: "s" } },
    {
      httpHealthCheck: { path: "/", serviceNameMatcher: { prefix: "s" } },
    },
  ),
  healthCheck(
    "one `receive` where v3 has a list",
    { http_health_check: { path: "/", receive: { text: "00" } } },
    {
      httpHealthCheck: { path: "/", receive: [{ text: "00" }] },
    },
  ),
  healthCheck(
    "custom health check with config",
    { custom_health_check: { name: "envoy.health_checkers.redis", config: { key: "k" } } },
    {
      customHealthCheck: {
        name: "envoy.health_checkers.redis",
        typedConfig: typed("envoy.extensions.health_checkers.redis.v3.Redis", { key: "k" }),
      },
    },
  ),
  cluster(
    "custom cluster type",
    {
      cluster_type: {
        name: "envoy.clusters.aggregate",
        typed_config: typed("envoy.config.cluster.aggregate.v2alpha.ClusterConfig", { clusters: ["d"] }),
      },
    },
    {
      clusterType: {
        name: "envoy.clusters.aggregate",
        typedConfig: typed("envoy.extensions.clusters.aggregate.v3.ClusterConfig", { clusters: ["d"] }),
      },
    },
    "needs its lbPolicy, which this case is not about",
  ),
  cluster(
    "verifySubjectAltName",
    {
      tls_context: {
        common_tls_context: {
          validation_context: { verify_subject_alt_name: ["x"], trusted_ca: { inline_string: "ca" } },
        },
      },
    },
    {
      transportSocket: {
        name: "envoy.transport_sockets.tls",
        typedConfig: typed(upstreamTls, {
          commonTlsContext: {
            validationContext: {
              trustedCa: { inlineString: "ca" },
              matchTypedSubjectAltNames: [
                { sanType: "DNS", matcher: { exact: "x" } },
                { sanType: "URI", matcher: { exact: "x" } },
              ],
            },
          },
        }),
      },
    },
    trustedCa,
  ),
  cluster(
    "matchSubjectAltNames",
    {
      tls_context: {
        common_tls_context: {
          validation_context: { match_subject_alt_names: { regex: "x.*" }, require_ocsp_staple: false },
        },
      },
    },
    {
      transportSocket: {
        name: "envoy.transport_sockets.tls",
        typedConfig: typed(upstreamTls, {
          commonTlsContext: {
            validationContext: {
              matchTypedSubjectAltNames: ["DNS", "URI", "EMAIL", "IP_ADDRESS"].map((sanType) => ({
                sanType,
                matcher: { safeRegex: { regex: "x.*" } },
              })),
            },
          },
        }),
      },
    },
    trustedCa,
  ),
  cluster(
    "secrets from SDS",
    {
      tls_context: {
        common_tls_context: {
          alpn_protocols: ["h2"],
          tls_params: { tls_minimum_protocol_version: "TLSv1_2" },
          tls_certificate_sds_secret_configs: [{ name: "s", sds_config: { ads: {} } }],
        },
      },
    },
    {
      transportSocket: {
        name: "envoy.transport_sockets.tls",
        typedConfig: typed(upstreamTls, {
          commonTlsContext: {
            alpnProtocols: ["h2"],
            tlsParams: { tlsMinimumProtocolVersion: "TLSv1_2" },
            tlsCertificateSdsSecretConfigs: [{ name: "s", sdsConfig: ads }],
          },
        }),
      },
    },
    "static configuration has no ADS",
  ),
  cluster(
    "file based gRPC credentials",
    {
      type: "EDS",
      eds_cluster_config: {
        eds_config: {
          api_config_source: {
            api_type: "GRPC",
            grpc_services: {
              google_grpc: {
                target_uri: "t",
                stat_prefix: "s",
                call_credentials: [
                  {
                    from_plugin: {
                      name: "envoy.grpc_credentials.file_based_metadata",
                      config: { secret_data: { filename: "token" } },
                    },
                  },
                ],
              },
            },
          },
        },
      },
    },
    {
      type: "EDS",
      edsClusterConfig: {
        edsConfig: {
          apiConfigSource: {
            apiType: "GRPC",
            transportApiVersion: "V3",
            grpcServices: [
              {
                googleGrpc: {
                  targetUri: "t",
                  statPrefix: "s",
                  callCredentials: [
                    {
                      fromPlugin: {
                        name: "envoy.grpc_credentials.file_based_metadata",
                        typedConfig: typed("envoy.config.grpc_credential.v3.FileBasedMetadataConfig", {
                          secretData: { filename: "token" },
                        }),
                      },
                    },
                  ],
                },
              },
            ],
          },
          resourceApiVersion: "V3",
        },
      },
    },
    "names a file",
  ),

  listener("deprecatedV1", { deprecated_v1: { bind_to_port: false } }, { bindToPort: false }),
  listener("useOriginalDst stays", { use_original_dst: true }, { useOriginalDst: true }),
  listener(
    "tlsContext of a filter chain",
    { filter_chains: [{ tls_context: { require_sni: true } }] },
    {
      filterChains: [
        {
          transportSocket: {
            name: "envoy.transport_sockets.tls",
            typedConfig: typed(downstreamTls, { requireSni: true }),
          },
        },
      ],
    },
    "needs a certificate",
  ),
  listener(
    "transport socket `tls` of a filter chain",
    { filter_chains: [{ transport_socket: { name: "tls", config: { require_sni: true } } }] },
    {
      filterChains: [
        {
          transportSocket: {
            name: "envoy.transport_sockets.tls",
            typedConfig: typed(downstreamTls, { requireSni: true }),
          },
        },
      ],
    },
    "needs a certificate",
  ),
  listener(
    "source type LOCAL",
    { filter_chains: [{ filter_chain_match: { source_type: "LOCAL" } }] },
    {
      filterChains: [{ filterChainMatch: { sourceType: "SAME_IP_OR_LOOPBACK" } }],
    },
  ),
  listener(
    "useProxyProto stays",
    { filter_chains: [{ use_proxy_proto: true }] },
    { filterChains: [{ useProxyProto: true }] },
  ),
  ...listenerFilters.map(([name, modern, type]) =>
    listener(
      `filter ${name}`,
      { listener_filters: [{ name }] },
      {
        listenerFilters: [
          { name: `envoy.filters.listener.${modern}`, typedConfig: typed(`envoy.extensions.filters.listener.${type}`) },
        ],
      },
    ),
  ),
  ...networkFilters.map(([name, modern, type, v2 = {}, v3 = {}]) =>
    filter(
      `network filter ${name}`,
      name,
      v2,
      `envoy.extensions.filters.network.${type}`,
      v3,
      `envoy.filters.network.${modern}`,
    ),
  ),
  ...httpFilters.map(([name, modern, type, v2, v3 = {}]) => {
    const old = v2 === undefined ? { name } : { name, config: v2 };
    const made = {
      name: `envoy.filters.http.${modern}`,
      typedConfig: typed(`envoy.extensions.filters.http.${type}`, v3),
    };
    return http(
      `HTTP filter ${name}`,
      { http_filters: [old, { name: "envoy.router" }] },
      { httpFilters: [made, router] },
    );
  }),
  http("one object where a list belongs", { http_filters: { name: "envoy.router" } }, {}),
  http("idleTimeout", { idle_timeout: "3s" }, { commonHttpProtocolOptions: { idleTimeout: "3s" } }),
  http(
    "idleTimeout beside other options",
    { idle_timeout: "3s", common_http_protocol_options: { max_headers_count: 50 } },
    {
      commonHttpProtocolOptions: { idleTimeout: "3s", maxHeadersCount: 50 },
    },
  ),
  http(
    "tracing",
    { tracing: { operation_name: "EGRESS", request_headers_for_tags: ["h"] } },
    {
      tracing: { customTags: [{ tag: "h", requestHeader: { name: "h" } }] },
    },
  ),
  http(
    "a tracer",
    {
      tracing: {
        provider: {
          name: "envoy.zipkin",
          config: { collector_cluster: "c", collector_endpoint: "/", collector_endpoint_version: "HTTP_JSON" },
        },
      },
    },
    {
      tracing: {
        provider: {
          name: "envoy.tracers.zipkin",
          typedConfig: typed("envoy.config.trace.v3.ZipkinConfig", {
            collectorCluster: "c",
            collectorEndpoint: "/",
            collectorEndpointVersion: "HTTP_JSON",
          }),
        },
      },
    },
  ),
  {
    what: "HttpConnectionManager: rds",
    v2: typed("envoy.api.v2.Listener", {
      name: "l",
      address,
      filter_chains: [
        {
          filters: [
            {
              name: "envoy.http_connection_manager",
              config: {
                stat_prefix: "x",
                rds: { route_config_name: "r", config_source: { ads: {} } },
                http_filters: [{ name: "envoy.router" }],
              },
            },
          ],
        },
      ],
    }),
    v3: {
      name: "l",
      address,
      filterChains: [
        {
          filters: [
            {
              name: "envoy.filters.network.http_connection_manager",
              typedConfig: typed(manager, {
                statPrefix: "x",
                rds: { routeConfigName: "r", configSource: ads },
                httpFilters: [router],
              }),
            },
          ],
        },
      ],
    },
    unasked: "static configuration has no ADS",
  },
  log(
    "file",
    { name: "envoy.file_access_log", config: { path: "/dev/null", format: "%DURATION%\n" } },
    {
      name: "envoy.access_loggers.file",
      typedConfig: typed(fileLog, {
        path: "/dev/null",
        logFormat: { textFormatSource: { inlineString: "%DURATION%\n" } },
      }),
    },
  ),
  log(
    "file without a format",
    { name: "envoy.file_access_log", config: { path: "/dev/null", format: "" } },
    {
      name: "envoy.access_loggers.file",
      typedConfig: typed(fileLog, { path: "/dev/null" }),
    },
  ),
  log(
    "file with JSON",
    { name: "envoy.file_access_log", config: { path: "/dev/null", json_format: { a: "%DURATION%" } } },
    {
      name: "envoy.access_loggers.file",
      typedConfig: typed(fileLog, { path: "/dev/null", jsonFormat: { a: "%DURATION%" } }),
    },
  ),
  log(
    "file with typed JSON",
    {
      name: "envoy.file_access_log",
      typed_config: typed("envoy.config.accesslog.v2.FileAccessLog", {
        path: "/dev/null",
        typed_json_format: { a: "%DURATION%" },
      }),
    },
    {
      name: "envoy.access_loggers.file",
      typedConfig: typed(fileLog, { path: "/dev/null", logFormat: { jsonFormat: { a: "%DURATION%" } } }),
    },
  ),
  ...(["http", "tcp"] as const).map((kind) =>
    log(
      `gRPC, ${kind}`,
      { name: `envoy.${kind}_grpc_access_log`, config: { common_config: { log_name: "n", grpc_service: grpc } } },
      {
        name: `envoy.access_loggers.${kind}_grpc`,
        typedConfig: typed(
          `envoy.extensions.access_loggers.grpc.v3.${kind === "http" ? "Http" : "Tcp"}GrpcAccessLogConfig`,
          {
            commonConfig: { logName: "n", grpcService: grpc, transportApiVersion: "V3" },
          },
        ),
      },
    ),
  ),

  virtualHost(
    "perFilterConfig",
    { per_filter_config: { "envoy.buffer": { disabled: true } } },
    {
      typedPerFilterConfig: {
        "envoy.filters.http.buffer": typed("envoy.extensions.filters.http.buffer.v3.BufferPerRoute", {
          disabled: true,
        }),
      },
    },
  ),
  route(
    "perFilterConfig of a route",
    {
      match: { prefix: "/" },
      route: action,
      per_filter_config: { "envoy.filters.http.csrf": { filter_enabled: { default_value: { numerator: 1 } } } },
    },
    {
      match: { prefix: "/" },
      route: action,
      typedPerFilterConfig: {
        "envoy.filters.http.csrf": typed("envoy.extensions.filters.http.csrf.v3.CsrfPolicy", {
          filterEnabled: { defaultValue: { numerator: 1 } },
        }),
      },
    },
  ),
  routeAction(
    "perFilterConfig of a weighted cluster",
    {
      cluster: undefined,
      weighted_clusters: {
        clusters: [{ name: "c", weight: 100, per_filter_config: { "envoy.buffer": { disabled: true } } }],
      },
    },
    {
      cluster: undefined,
      weightedClusters: {
        clusters: [
          {
            name: "c",
            weight: 100,
            typedPerFilterConfig: {
              "envoy.filters.http.buffer": typed("envoy.extensions.filters.http.buffer.v3.BufferPerRoute", {
                disabled: true,
              }),
            },
          },
        ],
      },
    },
  ),
  match("regex", { prefix: undefined, regex: "/a.*" }, { prefix: undefined, safeRegex: { regex: "/a.*" } }),
  match(
    "safeRegex with its engine",
    { prefix: undefined, safe_regex: { google_re2: {}, regex: "/a" } },
    { prefix: undefined, safeRegex: { regex: "/a" } },
  ),
  match(
    "header matchers",
    {
      headers: [
        { name: "a", regex_match: "r" },
        { name: "b", exact_match: "e" },
        { name: "c", prefix_match: "p" },
        { name: "d", suffix_match: "s" },
        { name: "e", safe_regex_match: { google_re2: {}, regex: "r" } },
        { name: "f", present_match: true },
      ],
    },
    {
      headers: [
        { name: "a", stringMatch: { safeRegex: { regex: "r" } } },
        { name: "b", stringMatch: { exact: "e" } },
        { name: "c", stringMatch: { prefix: "p" } },
        { name: "d", stringMatch: { suffix: "s" } },
        { name: "e", stringMatch: { safeRegex: { regex: "r" } } },
        { name: "f", presentMatch: true },
      ],
    },
  ),
  match(
    "query parameters",
    {
      query_parameters: [
        { name: "a", value: "v" },
        { name: "b", value: "v.*", regex: true },
        { name: "c" },
        { name: "d", string_match: { prefix: "p" } },
      ],
    },
    {
      queryParameters: [
        { name: "a", stringMatch: { exact: "v" } },
        { name: "b", stringMatch: { safeRegex: { regex: "v.*" } } },
        { name: "c", presentMatch: true },
        { name: "d", stringMatch: { prefix: "p" } },
      ],
    },
  ),
  routeAction(
    "requestMirrorPolicy",
    { request_mirror_policy: { cluster: "d", runtime_key: "k" } },
    {
      requestMirrorPolicies: [
        {
          cluster: "d",
          runtimeFraction: { runtimeKey: "k", defaultValue: { numerator: 0, denominator: "TEN_THOUSAND" } },
        },
      ],
    },
  ),
  routeAction(
    "requestMirrorPolicy of everything",
    { request_mirror_policy: { cluster: "d" } },
    { requestMirrorPolicies: [{ cluster: "d" }] },
  ),
  routeAction("hostRewrite", { host_rewrite: "h" }, { hostRewriteLiteral: "h" }),
  routeAction("autoHostRewriteHeader", { auto_host_rewrite_header: "h" }, { hostRewriteHeader: "h" }),
  routeAction(
    "retry extensions",
    {
      retry_policy: {
        retry_priority: { name: "envoy.retry_priorities.previous_priorities", config: { update_frequency: 2 } },
        retry_host_predicate: [{ name: "envoy.retry_host_predicates.previous_hosts" }],
      },
    },
    {
      retryPolicy: {
        retryPriority: {
          name: "envoy.retry_priorities.previous_priorities",
          typedConfig: typed("envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig", {
            updateFrequency: 2,
          }),
        },
        retryHostPredicate: [
          {
            name: "envoy.retry_host_predicates.previous_hosts",
            typedConfig: typed("envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"),
          },
        ],
      },
    },
  ),
  virtualHost(
    "cors",
    { cors: { allow_origin: ["a", "*"], allow_origin_regex: ["b.*"], enabled: false } },
    {
      cors: {
        allowOriginStringMatch: [{ exact: "a" }, { exact: "*" }, { safeRegex: { regex: "b.*" } }],
        filterEnabled: { defaultValue: { numerator: 0 } },
      },
    },
  ),
  virtualHost(
    "virtual clusters",
    {
      virtual_clusters: [
        { name: "v", pattern: "/a.*", method: "GET" },
        { name: "w", pattern: "/b" },
      ],
    },
    {
      virtualClusters: [
        {
          name: "v",
          headers: [
            { name: ":path", stringMatch: { safeRegex: { regex: "/a.*" } } },
            { name: ":method", stringMatch: { exact: "GET" } },
          ],
        },
        { name: "w", headers: [{ name: ":path", stringMatch: { safeRegex: { regex: "/b" } } }] },
      ],
    },
  ),

  filter(
    "RBAC by an authenticated name",
    "envoy.filters.network.rbac",
    {
      stat_prefix: "x",
      rules: {
        policies: { p: { permissions: [{ any: true }], principals: [{ authenticated: { name: "spiffe://a" } }] } },
      },
    },
    "envoy.extensions.filters.network.rbac.v3.RBAC",
    {
      statPrefix: "x",
      rules: {
        policies: {
          p: {
            permissions: [{ any: true }],
            principals: [{ authenticated: { principalName: { exact: "spiffe://a" } } }],
          },
        },
      },
    },
    "envoy.filters.network.rbac",
  ),
  filter(
    "Redis routes with a catch-all cluster",
    "envoy.redis_proxy",
    {
      stat_prefix: "x",
      settings: { op_timeout: "1s" },
      prefix_routes: { routes: [{ prefix: "a", cluster: "d" }], catch_all_cluster: "c" },
    },
    "envoy.extensions.filters.network.redis_proxy.v3.RedisProxy",
    {
      statPrefix: "x",
      settings: { opTimeout: "1s" },
      prefixRoutes: { routes: [{ prefix: "a", cluster: "d" }], catchAllRoute: { cluster: "c" } },
    },
    "envoy.filters.network.redis_proxy",
  ),
  tcp("a plain TCP proxy", { cluster: "c" }, { cluster: "c" }),
  tcp(
    "weighted clusters",
    { weighted_clusters: { clusters: [{ name: "c", weight: 1 }] } },
    { weightedClusters: { clusters: [{ name: "c", weight: 1 }] } },
  ),
  {
    what: "ClusterLoadAssignment",
    v2: typed("envoy.api.v2.ClusterLoadAssignment", {
      cluster_name: "c",
      endpoints: { lb_endpoints: [{ endpoint: { address: snakeAddress } }] },
    }),
    v3: { clusterName: "c", endpoints: [{ lbEndpoints: [{ endpoint: { address } }] }] },
    unasked: "static configuration has assignments inside clusters only",
  },
  {
    what: "Secret",
    v2: typed("envoy.api.v2.auth.Secret", { name: "s", tls_certificate: { private_key: { inline_bytes: "AA==" } } }),
    v3: { name: "s", tlsCertificate: { privateKey: { inlineBytes: "AA==" } } },
  },
];
