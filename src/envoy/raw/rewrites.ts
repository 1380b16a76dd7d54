import { isJsonObject } from "../../lib/json.js";
import type { Step } from "../../resources/path.js";
import {
  accessLoggers,
  clusterProtocols,
  type Extension,
  type Extensions,
  grpcCredentials,
  healthCheckers,
  httpFilters,
  listenerFilters,
  networkFilters,
  noneKnown,
  perRouteFilters,
  retryHostPredicates,
  retryPriorities,
  tracers,
  transportSockets,
} from "./extensions.js";

export type Json = Record<string, unknown>;

/** The context of a message that is being rewritten. */
export interface Place {
  /** Reports a field that can't be expressed in v3. */
  refuse(field: string, reason: string): void;
  /** Records that a new object has v2 content, and the path at which the user wrote that content. */
  madeFrom(object: object, ...written: readonly Step[]): void;
  /** Whether the nearest listener or cluster around the message is a listener. */
  readonly side: "listener" | "cluster";
}

/** Rewrites a v2 message, with names in lowerCamelCase, to v3; its children are still v2. */
export type Rewrite = (message: Json, place: Place) => void;

export const typeUrl = (type: string): string => `type.googleapis.com/${type}`;

/** Reads and removes a field. Null counts as not set. */
function take(message: Json, field: string): unknown {
  const value = message[field];
  delete message[field];
  return value === null ? undefined : value;
}

function put(message: Json, place: Place, from: string, to: string, value: unknown): void {
  if (message[to] === undefined || message[to] === null) message[to] = value;
  else place.refuse(from, `only one of "${from}" and "${to}" can be set`);
}

/** Renames a field and optionally converts its value. An empty string counts as not set. */
function moved(from: string, to: string, change: (value: unknown) => unknown = (value) => value): Rewrite {
  return (message, place) => {
    const value = take(message, from);
    if (value !== undefined && value !== "") put(message, place, from, to, change(value));
  };
}

/** A v2 field without a v3 successor; values without an effect are dropped. */
function gone(field: string, reason: string, means: (value: unknown) => boolean = () => true): Rewrite {
  return (message, place) => {
    const value = take(message, field);
    if (value !== undefined && means(value)) place.refuse(field, reason);
  };
}

const dropped =
  (field: string): Rewrite =>
  (message) =>
    void take(message, field);

const renamed =
  (field: string, from: string, to: string): Rewrite =>
  (message) => {
    if (message[field] === from) message[field] = to;
  };

const all =
  (...rewrites: readonly Rewrite[]): Rewrite =>
  (message, place) => {
    for (const rewrite of rewrites) rewrite(message, place);
  };

const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : [value]);

const exact = (value: unknown) => ({ exact: value });
const regex = (value: unknown) => ({ safeRegex: { regex: value } });

function configuration({ type }: Extension, content: Json, place: Place, ...written: readonly Step[]): Json {
  const made = { "@type": typeUrl(type), ...content };
  place.madeFrom(made, ...written);
  return made;
}

/** Converts an extension's `config`, a Struct, to `typedConfig`; without either it gets the type for its name. */
function extension(known: Extensions | ((place: Place) => Extensions)): Rewrite {
  return (message, place) => {
    const { name } = message;
    const config = take(message, "config");
    const found = typeof name === "string" ? (typeof known === "function" ? known(place) : known).get(name) : undefined;
    if (found === null) return place.refuse("name", `Envoy no longer has "${name}"`);
    if (found !== undefined) message.name = found.name;
    if (message.typedConfig !== undefined && message.typedConfig !== null) {
      if (config !== undefined) place.refuse("config", 'only one of "config" and "typedConfig" can be set');
    } else if (config !== undefined && !isJsonObject(config)) {
      place.refuse("config", "expected an object");
    } else if (found !== undefined) {
      message.typedConfig = configuration(found, config ?? {}, place, "config");
    } else if (config !== undefined) {
      place.refuse("config", `no type is known for the configuration of "${name}"; write typedConfig with its @type`);
    }
  };
}

/** Converts a map from extension names to Structs to one from extension names to messages. */
function extensionMap(from: string, to: string, known: Extensions): Rewrite {
  return (message, place) => {
    const made: Json = {};
    const typed = take(message, to);
    if (isJsonObject(typed)) {
      for (const [name, value] of Object.entries(typed)) made[known.get(name)?.name ?? name] = value;
    } else if (typed !== undefined) message[to] = typed;
    const structs = take(message, from);
    if (structs !== undefined && !isJsonObject(structs)) return place.refuse(from, "expected an object");
    for (const [name, value] of Object.entries(structs ?? {})) {
      const found = known.get(name);
      if (found === null) place.refuse(from, `Envoy no longer has "${name}"`);
      else if (found === undefined) {
        place.refuse(from, `no type is known for the configuration of "${name}"; write ${to} with its @type`);
      } else if (!isJsonObject(value)) place.refuse(from, `expected an object for "${name}"`);
      else put(made, place, from, found.name, configuration(found, value, place, from, { key: name }));
    }
    if (Object.keys(made).length > 0) message[to] = made;
  };
}

/** Converts the `tlsContext` of a cluster or a filter chain to its transport socket. */
const tlsContext: Rewrite = (message, place) => {
  const context = take(message, "tlsContext");
  if (context === undefined) return;
  const tls = transportSockets[place.side].get("tls");
  if (!tls || !isJsonObject(context)) return place.refuse("tlsContext", "expected an object");
  const typedConfig = configuration(tls, context, place, "tlsContext");
  put(message, place, "tlsContext", "transportSocket", { name: tls.name, typedConfig });
};

const hosts: Rewrite = (message, place) => {
  const addresses = take(message, "hosts");
  if (addresses === undefined) return;
  const lbEndpoints = listOf(addresses).map((address, index) => {
    if (typeof address === "object" && address !== null) place.madeFrom(address, "hosts", index);
    return { endpoint: { address } };
  });
  put(message, place, "hosts", "loadAssignment", { clusterName: message.name ?? "", endpoints: [{ lbEndpoints }] });
};

/** The SAN types that a v2 matcher applied to. */
const sanTypes = ["DNS", "URI", "EMAIL", "IP_ADDRESS"];

const subjectAltNames: Rewrite = (message, place) => {
  const names = take(message, "verifySubjectAltName");
  const matchers = take(message, "matchSubjectAltNames");
  if (names !== undefined && matchers !== undefined) {
    // In v2 both had to match; in one v3 list, either would be enough.
    return place.refuse("verifySubjectAltName", 'v3 can\'t ask for this and for "matchSubjectAltNames" at once');
  }
  const typed = [
    ...(names === undefined ? [] : listOf(names))
      .map(exact)
      .flatMap((matcher) => ["DNS", "URI"].map((sanType) => ({ sanType, matcher }))),
    ...(matchers === undefined ? [] : listOf(matchers)).flatMap((matcher) =>
      sanTypes.map((sanType) => ({ sanType, matcher })),
    ),
  ];
  if (typed.length > 0) {
    const from = names === undefined ? "matchSubjectAltNames" : "verifySubjectAltName";
    put(message, place, from, "matchTypedSubjectAltNames", typed);
  }
};

const virtualCluster: Rewrite = (message, place) => {
  const [pattern, method] = [take(message, "pattern"), take(message, "method")];
  const headers = [
    ...(pattern === undefined ? [] : [{ name: ":path", stringMatch: regex(pattern) }]),
    ...(method === undefined ? [] : [{ name: ":method", stringMatch: exact(method) }]),
  ];
  if (headers.length > 0) put(message, place, pattern === undefined ? "method" : "pattern", "headers", headers);
};

const queryParameter: Rewrite = (message, place) => {
  const [value, isRegex] = [take(message, "value"), take(message, "regex")];
  if (isRegex === true) put(message, place, "regex", "stringMatch", regex(value ?? ""));
  else if (value !== undefined && value !== "") put(message, place, "value", "stringMatch", exact(value));
  // Without a matcher, v2 required the parameter to be present.
  else if (message.stringMatch === undefined && message.presentMatch === undefined) message.presentMatch = true;
};

const cors: Rewrite = (message, place) => {
  const origins = [
    ...listOf(take(message, "allowOrigin") ?? []).map(exact),
    ...listOf(take(message, "allowOriginRegex") ?? []).map(regex),
  ];
  if (origins.length > 0) {
    message.allowOriginStringMatch = [...origins, ...listOf(take(message, "allowOriginStringMatch") ?? [])];
  }
  const enabled = take(message, "enabled");
  const filterEnabled = { defaultValue: { numerator: enabled === false ? 0 : 100 } };
  if (enabled !== undefined) put(message, place, "enabled", "filterEnabled", filterEnabled);
};

/** In v2 nothing was mirrored unless the runtime key was set. */
const mirrorFraction = moved("runtimeKey", "runtimeFraction", (runtimeKey) => ({
  runtimeKey,
  defaultValue: { numerator: 0, denominator: "TEN_THOUSAND" },
}));

/** In v2 the header matcher had a separate field for each kind of match. */
const headerMatcher = all(
  moved("regexMatch", "stringMatch", regex),
  moved("exactMatch", "stringMatch", exact),
  moved("prefixMatch", "stringMatch", (prefix) => ({ prefix })),
  moved("suffixMatch", "stringMatch", (suffix) => ({ suffix })),
  moved("safeRegexMatch", "stringMatch", (safeRegex) => ({ safeRegex })),
);

const httpIdleTimeout: Rewrite = (message, place) => {
  const idleTimeout = take(message, "idleTimeout");
  if (idleTimeout === undefined) return;
  const options = take(message, "commonHttpProtocolOptions") ?? {};
  if (!isJsonObject(options)) return place.refuse("commonHttpProtocolOptions", "expected an object");
  message.commonHttpProtocolOptions = { ...options, idleTimeout };
};

const requestHeadersForTags: Rewrite = (message, place) => {
  const headers = take(message, "requestHeadersForTags");
  if (headers === undefined) return;
  const tags = listOf(headers).map((name) => ({ tag: name, requestHeader: { name } }));
  put(message, place, "requestHeadersForTags", "customTags", tags);
};

const redisCluster: Rewrite = (message, place) => {
  const cluster = take(message, "cluster");
  if (cluster === undefined || cluster === "") return;
  const routes = take(message, "prefixRoutes") ?? {};
  if (!isJsonObject(routes)) return place.refuse("prefixRoutes", "expected an object");
  const made = { ...routes };
  put(made, place, "cluster", "catchAllRoute", { cluster });
  message.prefixRoutes = made;
};

const apiConfigSource: Rewrite = (message, place) => {
  const apiType = take(message, "apiType") ?? 0;
  if (apiType !== 0 && apiType !== "UNSUPPORTED_REST_LEGACY") message.apiType = apiType;
  else place.refuse("apiType", "has to be GRPC, DELTA_GRPC or REST");
};

const zipkin: Rewrite = (message, place) => {
  const version = take(message, "collectorEndpointVersion") ?? 0;
  if (version !== 0 && version !== "HTTP_JSON_V1") message.collectorEndpointVersion = version;
  else {
    place.refuse(
      "collectorEndpointVersion",
      "has to be HTTP_JSON or HTTP_PROTO: HTTP_JSON_V1, the default of v2, no longer exists",
    );
  }
};

const textFormat = (text: unknown) => ({ textFormatSource: { inlineString: text } });

const perFilterConfig = extensionMap("perFilterConfig", "typedPerFilterConfig", perRouteFilters);

const cluster = "envoy.config.cluster.v3";
const core = "envoy.config.core.v3";
const listener = "envoy.config.listener.v3";
const route = "envoy.config.route.v3";
const tls = "envoy.extensions.transport_sockets.tls.v3";
const http = "envoy.extensions.filters.network.http_connection_manager.v3";
const redis = "envoy.extensions.filters.network.redis_proxy.v3";

const notInV3 = "has no counterpart in v3";

/**
 * The differences between the v2 and v3 APIs besides type names, by v3 message type: every field that v2 has and v3
 * lacks, according to Envoy's .proto files.
 */
export const rewrites: ReadonlyMap<string, Rewrite> = new Map<string, Rewrite>([
  [
    `${cluster}.Cluster`,
    all(
      hosts,
      tlsContext,
      extensionMap("extensionProtocolOptions", "typedExtensionProtocolOptions", clusterProtocols),
      renamed("lbPolicy", "ORIGINAL_DST_LB", "CLUSTER_PROVIDED"),
      moved("drainConnectionsOnHostRemoval", "ignoreHealthOnHostRemoval"),
    ),
  ],
  [
    `${cluster}.LoadBalancingPolicy.Policy`,
    all(gone("name", notInV3), gone("config", notInV3), gone("typedConfig", notInV3)),
  ],
  [
    "envoy.config.endpoint.v3.ClusterLoadAssignment.Policy",
    gone("disableOverprovisioning", notInV3, (value) => value !== false),
  ],
  [`${core}.ApiConfigSource`, apiConfigSource],
  [`${core}.TransportSocket`, extension(({ side }) => transportSockets[side])],
  [
    `${core}.HealthCheck.HttpHealthCheck`,
    all(
      moved("serviceName", "serviceNameMatcher", (prefix) => ({ prefix })),
      (message, place) => {
        if (take(message, "useHttp2") === true) put(message, place, "useHttp2", "codecClientType", "HTTP2");
      },
    ),
  ],
  [`${core}.HealthCheck.CustomHealthCheck`, extension(healthCheckers)],
  [`${core}.GrpcService.GoogleGrpc.CallCredentials.MetadataCredentialsFromPlugin`, extension(grpcCredentials)],
  [
    `${listener}.Listener`,
    (message, place) => {
      const deprecated = take(message, "deprecatedV1");
      if (deprecated === undefined) return;
      const {
        bind_to_port: snake,
        bindToPort = snake,
        ...others
      } = isJsonObject(deprecated) ? deprecated : { "": null };
      if (Object.keys(others).length > 0) place.refuse("deprecatedV1", 'can hold nothing but "bindToPort"');
      else if (bindToPort !== undefined) put(message, place, "deprecatedV1", "bindToPort", bindToPort);
    },
  ],
  [`${listener}.Filter`, extension(networkFilters)],
  [`${listener}.ListenerFilter`, extension(listenerFilters)],
  [`${listener}.FilterChain`, tlsContext],
  [`${listener}.FilterChainMatch`, renamed("sourceType", "LOCAL", "SAME_IP_OR_LOOPBACK")],
  [
    `${listener}.UdpListenerConfig`,
    all(gone("udpListenerName", notInV3), gone("config", notInV3), gone("typedConfig", notInV3)),
  ],
  [`${listener}.QuicProtocolOptions`, gone("maxConcurrentStreams", notInV3)],
  [`${route}.VirtualHost`, perFilterConfig],
  [`${route}.Route`, perFilterConfig],
  [`${route}.WeightedCluster.ClusterWeight`, perFilterConfig],
  [`${route}.RouteMatch`, moved("regex", "safeRegex", (value) => ({ regex: value }))],
  [`${route}.CorsPolicy`, cors],
  [
    `${route}.RouteAction`,
    all(
      moved("hostRewrite", "hostRewriteLiteral"),
      moved("autoHostRewriteHeader", "hostRewriteHeader"),
      moved("requestMirrorPolicy", "requestMirrorPolicies", (policy) => [policy]),
    ),
  ],
  [`${route}.RouteAction.RequestMirrorPolicy`, mirrorFraction],
  [`${route}.RetryPolicy.RetryPriority`, extension(retryPriorities)],
  [`${route}.RetryPolicy.RetryHostPredicate`, extension(retryHostPredicates)],
  [`${route}.VirtualCluster`, virtualCluster],
  [`${route}.HeaderMatcher`, headerMatcher],
  [`${route}.QueryParameterMatcher`, queryParameter],
  ["envoy.type.matcher.v3.StringMatcher", moved("regex", "safeRegex", (value) => ({ regex: value }))],
  // v2 required the name of this only engine; Envoy now warns about it.
  [
    "envoy.type.matcher.v3.RegexMatcher",
    (message) => {
      const { googleRe2 } = message;
      if (isJsonObject(googleRe2) && Object.keys(googleRe2).length === 0) delete message.googleRe2;
    },
  ],
  [
    `${tls}.CertificateValidationContext`,
    all(
      subjectAltNames,
      gone("requireOcspStaple", notInV3, (value) => value !== false),
    ),
  ],
  [`${tls}.PrivateKeyProvider`, extension(noneKnown)],
  ["envoy.config.accesslog.v3.AccessLog", extension(accessLoggers)],
  ["envoy.config.accesslog.v3.ExtensionFilter", extension(noneKnown)],
  [
    "envoy.extensions.access_loggers.file.v3.FileAccessLog",
    all(
      moved("format", "logFormat", textFormat),
      moved("typedJsonFormat", "logFormat", (jsonFormat) => ({ jsonFormat })),
    ),
  ],
  ["envoy.config.rbac.v3.Principal.Authenticated", moved("name", "principalName", exact)],
  ["envoy.config.trace.v3.Tracing.Http", extension(tracers)],
  ["envoy.config.trace.v3.ZipkinConfig", zipkin],
  ["envoy.extensions.filters.common.fault.v3.FaultDelay", dropped("type")],
  [`${http}.HttpConnectionManager`, httpIdleTimeout],
  [`${http}.HttpConnectionManager.Tracing`, all(dropped("operationName"), requestHeadersForTags)],
  [`${http}.HttpFilter`, extension(httpFilters)],
  [
    "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
    gone("deprecatedV1", "can't be expressed in v3: write one filter chain, or one listener, for each route"),
  ],
  [`${redis}.RedisProxy`, redisCluster],
  [
    `${redis}.RedisProxy.PrefixRoutes`,
    moved("catchAllCluster", "catchAllRoute", (catchAll) => ({ cluster: catchAll })),
  ],
  [
    "envoy.extensions.filters.http.dynamic_forward_proxy.v3.PerRouteConfig",
    all(moved("hostRewrite", "hostRewriteLiteral"), moved("autoHostRewriteHeader", "hostRewriteHeader")),
  ],
]);
