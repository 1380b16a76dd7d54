/** An Envoy extension in v3. v2 looked extensions up by name, v3 by the type of their configuration. */
export interface Extension {
  readonly name: string;
  /** Message type of its configuration. */
  readonly type: string;
}

/** Extensions of one kind by any of their names; null for one that Envoy no longer has. */
export type Extensions = ReadonlyMap<string, Extension | null>;

type Row = readonly [suffix: string, type: string, ...oldNames: string[]];

interface Kind {
  /** The prefix of canonical names, and the package of the types. */
  readonly prefix: string;
  readonly package: string;
  readonly rows: readonly Row[];
  readonly gone?: readonly string[];
}

function extensions(kind: Kind): Extensions {
  const found = new Map<string, Extension | null>();
  for (const [suffix, type, ...oldNames] of kind.rows) {
    const extension = { name: `${kind.prefix}${suffix}`, type: `${kind.package}${type}` };
    for (const name of [extension.name, ...oldNames]) found.set(name, extension);
  }
  for (const name of kind.gone ?? []) found.set(name, null);
  return found;
}

export const networkFilters = extensions({
  prefix: "envoy.filters.network.",
  package: "envoy.extensions.filters.network.",
  rows: [
    ["tcp_proxy", "tcp_proxy.v3.TcpProxy", "envoy.tcp_proxy"],
    ["http_connection_manager", "http_connection_manager.v3.HttpConnectionManager", "envoy.http_connection_manager"],
    ["redis_proxy", "redis_proxy.v3.RedisProxy", "envoy.redis_proxy"],
    ["mongo_proxy", "mongo_proxy.v3.MongoProxy", "envoy.mongo_proxy"],
    ["ratelimit", "ratelimit.v3.RateLimit", "envoy.ratelimit"],
    ["local_ratelimit", "local_ratelimit.v3.LocalRateLimit"],
    ["echo", "echo.v3.Echo", "envoy.echo"],
    ["ext_authz", "ext_authz.v3.ExtAuthz", "envoy.ext_authz"],
    ["rbac", "rbac.v3.RBAC"],
    ["sni_cluster", "sni_cluster.v3.SniCluster"],
    ["direct_response", "direct_response.v3.Config"],
    ["thrift_proxy", "thrift_proxy.v3.ThriftProxy"],
    ["dubbo_proxy", "dubbo_proxy.v3.DubboProxy"],
    ["zookeeper_proxy", "zookeeper_proxy.v3.ZooKeeperProxy"],
  ],
  gone: ["envoy.client_ssl_auth", "envoy.filters.network.client_ssl_auth"],
});

export const httpFilters = extensions({
  prefix: "envoy.filters.http.",
  package: "envoy.extensions.filters.http.",
  rows: [
    ["router", "router.v3.Router", "envoy.router"],
    ["fault", "fault.v3.HTTPFault", "envoy.fault"],
    ["cors", "cors.v3.Cors", "envoy.cors"],
    ["buffer", "buffer.v3.Buffer", "envoy.buffer"],
    ["lua", "lua.v3.Lua", "envoy.lua"],
    ["health_check", "health_check.v3.HealthCheck", "envoy.health_check"],
    ["grpc_web", "grpc_web.v3.GrpcWeb", "envoy.grpc_web"],
    ["ratelimit", "ratelimit.v3.RateLimit", "envoy.rate_limit"],
    ["ext_authz", "ext_authz.v3.ExtAuthz", "envoy.ext_authz"],
    ["ip_tagging", "ip_tagging.v3.IPTagging", "envoy.ip_tagging"],
    ["grpc_json_transcoder", "grpc_json_transcoder.v3.GrpcJsonTranscoder", "envoy.grpc_json_transcoder"],
    ["grpc_http1_bridge", "grpc_http1_bridge.v3.Config", "envoy.grpc_http1_bridge"],
    ["grpc_http1_reverse_bridge", "grpc_http1_reverse_bridge.v3.FilterConfig"],
    ["header_to_metadata", "header_to_metadata.v3.Config"],
    ["jwt_authn", "jwt_authn.v3.JwtAuthentication"],
    ["rbac", "rbac.v3.RBAC"],
    ["csrf", "csrf.v3.CsrfPolicy"],
    ["grpc_stats", "grpc_stats.v3.FilterConfig"],
    ["adaptive_concurrency", "adaptive_concurrency.v3.AdaptiveConcurrency"],
    ["dynamic_forward_proxy", "dynamic_forward_proxy.v3.FilterConfig"],
    ["on_demand", "on_demand.v3.OnDemand"],
    ["original_src", "original_src.v3.OriginalSrc"],
    ["tap", "tap.v3.Tap"],
  ],
  gone: [
    ...["envoy.gzip", "envoy.filters.http.gzip", "envoy.squash", "envoy.filters.http.squash"],
    ...["envoy.http_dynamo_filter", "envoy.filters.http.dynamo"],
  ],
});

/** The per-filter configuration of a virtual host, route or weighted cluster. */
export const perRouteFilters = extensions({
  prefix: "envoy.filters.http.",
  package: "envoy.extensions.filters.http.",
  rows: [
    ["buffer", "buffer.v3.BufferPerRoute", "envoy.buffer"],
    ["csrf", "csrf.v3.CsrfPolicy"],
    ["fault", "fault.v3.HTTPFault", "envoy.fault"],
    ["rbac", "rbac.v3.RBACPerRoute"],
    ["ext_authz", "ext_authz.v3.ExtAuthzPerRoute", "envoy.ext_authz"],
    ["lua", "lua.v3.LuaPerRoute", "envoy.lua"],
    ["header_to_metadata", "header_to_metadata.v3.Config"],
    ["grpc_json_transcoder", "grpc_json_transcoder.v3.GrpcJsonTranscoder", "envoy.grpc_json_transcoder"],
    ["grpc_http1_reverse_bridge", "grpc_http1_reverse_bridge.v3.FilterConfigPerRoute"],
    ["dynamic_forward_proxy", "dynamic_forward_proxy.v3.PerRouteConfig"],
  ],
  gone: ["envoy.gzip", "envoy.filters.http.gzip", "envoy.squash", "envoy.filters.http.squash"],
});

/** The protocol options of a cluster for a network filter. */
export const clusterProtocols = extensions({
  prefix: "envoy.filters.network.",
  package: "envoy.extensions.filters.network.",
  rows: [
    ["redis_proxy", "redis_proxy.v3.RedisProtocolOptions", "envoy.redis_proxy"],
    ["thrift_proxy", "thrift_proxy.v3.ThriftProtocolOptions"],
  ],
});

export const listenerFilters = extensions({
  prefix: "envoy.filters.listener.",
  package: "envoy.extensions.filters.listener.",
  rows: [
    ["original_dst", "original_dst.v3.OriginalDst", "envoy.listener.original_dst"],
    ["original_src", "original_src.v3.OriginalSrc", "envoy.listener.original_src"],
    ["tls_inspector", "tls_inspector.v3.TlsInspector", "envoy.listener.tls_inspector"],
    ["http_inspector", "http_inspector.v3.HttpInspector", "envoy.listener.http_inspector"],
    ["proxy_protocol", "proxy_protocol.v3.ProxyProtocol", "envoy.listener.proxy_protocol"],
  ],
});

export const accessLoggers = extensions({
  prefix: "envoy.access_loggers.",
  package: "envoy.extensions.access_loggers.",
  rows: [
    ["file", "file.v3.FileAccessLog", "envoy.file_access_log"],
    ["http_grpc", "grpc.v3.HttpGrpcAccessLogConfig", "envoy.http_grpc_access_log"],
    ["tcp_grpc", "grpc.v3.TcpGrpcAccessLogConfig", "envoy.tcp_grpc_access_log"],
  ],
});

export const tracers = extensions({
  prefix: "envoy.tracers.",
  package: "envoy.config.trace.v3.",
  rows: [
    ["zipkin", "ZipkinConfig", "envoy.zipkin"],
    ["datadog", "DatadogConfig"],
    ["xray", "XRayConfig"],
  ],
  gone: [
    ...["envoy.lightstep", "envoy.tracers.lightstep", "envoy.dynamic.ot", "envoy.tracers.dynamic_ot"],
    "envoy.tracers.opencensus",
  ],
});

const rawBuffer: Row = ["raw_buffer", "raw_buffer.v3.RawBuffer", "raw_buffer"];

/** `tls` has different types for listeners and clusters. */
export const transportSockets = {
  listener: extensions({
    prefix: "envoy.transport_sockets.",
    package: "envoy.extensions.transport_sockets.",
    rows: [["tls", "tls.v3.DownstreamTlsContext", "tls"], rawBuffer],
  }),
  cluster: extensions({
    prefix: "envoy.transport_sockets.",
    package: "envoy.extensions.transport_sockets.",
    rows: [["tls", "tls.v3.UpstreamTlsContext", "tls"], rawBuffer],
  }),
} as const;

export const healthCheckers = extensions({
  prefix: "envoy.health_checkers.",
  package: "envoy.extensions.health_checkers.",
  rows: [["redis", "redis.v3.Redis"]],
});

export const retryPriorities = extensions({
  prefix: "envoy.retry_priorities.",
  package: "envoy.extensions.retry.priority.",
  rows: [["previous_priorities", "previous_priorities.v3.PreviousPrioritiesConfig"]],
});

export const retryHostPredicates = extensions({
  prefix: "envoy.retry_host_predicates.",
  package: "envoy.extensions.retry.host.",
  rows: [
    ["previous_hosts", "previous_hosts.v3.PreviousHostsPredicate"],
    ["omit_canary_hosts", "omit_canary_hosts.v3.OmitCanaryHostsPredicate"],
    ["omit_host_metadata", "omit_host_metadata.v3.OmitHostMetadataConfig"],
  ],
});

export const grpcCredentials = extensions({
  prefix: "envoy.grpc_credentials.",
  package: "envoy.config.grpc_credential.v3.",
  rows: [["file_based_metadata", "FileBasedMetadataConfig"]],
});

/** For kinds whose v2 extensions all have no v3 equivalent, or were never used with `config`. */
export const noneKnown: Extensions = new Map();
