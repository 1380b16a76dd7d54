import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { AnySchema, anyPack } from "@bufbuild/protobuf/wkt";
import {
  ApiConfigSource_ApiType,
  ApiVersion,
  type ConfigSource,
  ConfigSourceSchema,
} from "../../proto-gen/es/envoy/config/core/v3/config_source_pb.js";
import {
  type GrpcService_GoogleGrpc_CallCredentials,
  GrpcService_GoogleGrpc_CallCredentialsSchema,
} from "../../proto-gen/es/envoy/config/core/v3/grpc_service_pb.js";
import { FileBasedMetadataConfigSchema } from "../../proto-gen/es/envoy/config/grpc_credential/v3/file_based_metadata_pb.js";
import { RBAC_Action } from "../../proto-gen/es/envoy/config/rbac/v3/rbac_pb.js";
import { RBACSchema } from "../../proto-gen/es/envoy/extensions/filters/network/rbac/v3/rbac_pb.js";
import {
  type SubjectAltNameMatcher,
  SubjectAltNameMatcher_SanType,
  SubjectAltNameMatcherSchema,
} from "../../proto-gen/es/envoy/extensions/transport_sockets/tls/v3/common_pb.js";
import {
  type CommonTlsContext,
  CommonTlsContextSchema,
  DownstreamTlsContextSchema,
  UpstreamTlsContextSchema,
} from "../../proto-gen/es/envoy/extensions/transport_sockets/tls/v3/tls_pb.js";
import { type StringMatcher, StringMatcherSchema } from "../../proto-gen/es/envoy/type/matcher/v3/string_pb.js";
import { hostPort } from "../lib/host.js";
import type { Permitted } from "../policy/permissions.js";
import { meshUri, serviceUri } from "../resources/spiffe.js";
import { memoOfRecent } from "./memo.js";

/**
 * How proxies reach the secret discovery server. It is equal for all proxies with a token that reach it at the same
 * host, and so are their TLS contexts.
 */
export interface SecretServerAddress {
  /** `host:port`, an IPv6 host in brackets. */
  readonly target: string;
  /** PEM of the certificate that the server presents. */
  readonly root: string;
  /** How proxies that name the control plane's host reach it; if absent, they use `target`. */
  readonly byHost?: {
    readonly port: number;
    /** A name in the certificate. It is used for every host, so that one certificate serves them all. */
    readonly verifiedName: string;
  };
}

/** The secrets of a proxy: the trust bundle of its mesh, and its own certificate with its key. */
export const meshCaName = "mesh_ca";
export const identityName = "identity_cert";

/** How a proxy's TLS contexts request their secrets. */
export interface TlsParameters {
  readonly mesh: string;
  readonly server: SecretServerAddress;
  /** The token's file on the proxy's machine; without one the secret server issues no certificate. */
  readonly tokenPath: string | undefined;
  /** The host at which the proxy reaches the control plane, if its metadata names it. */
  readonly controlPlaneHost: string | undefined;
  /**
   * The revision of the proxy's bootstrap: since 1 it waits for secrets for `secretPatienceMs` instead of Envoy's
   * default of 15 s, and pings a silent server continuously.
   */
  readonly revision: number;
}

/**
 * How long a listener or cluster may warm while waiting for its secrets, during which its predecessor continues in
 * plaintext. After that it replaces the predecessor and rejects connections until the secrets arrive. This is half of
 * the documented second; the rest is for Envoy's own work.
 */
const secretPatienceMs = 500;

const fileCredentials = "envoy.grpc_credentials.file_based_metadata";

function fromTokenFile(path: string): GrpcService_GoogleGrpc_CallCredentials {
  const config = create(FileBasedMetadataConfigSchema, {
    secretData: { specifier: { case: "filename", value: path } },
  });
  return create(GrpcService_GoogleGrpc_CallCredentialsSchema, {
    credentialSpecifier: {
      case: "fromPlugin",
      value: {
        name: fileCredentials,
        configType: { case: "typedConfig", value: anyPack(FileBasedMetadataConfigSchema, config) },
      },
    },
  });
}

const int = (value: bigint) => ({ valueSpecifier: { case: "intValue" as const, value } });

/**
 * With gRPC's defaults, a dead server is noticed only on a write, and reconnecting backs off up to two minutes: too
 * long for a proxy that waits for its certificate.
 */
const channelArgs = {
  "grpc.initial_reconnect_backoff_ms": int(500n),
  "grpc.keepalive_time_ms": int(30_000n),
  "grpc.keepalive_timeout_ms": int(10_000n),
  "grpc.max_reconnect_backoff_ms": int(10_000n),
};

/** By default gRPC pings a silent server only twice: it would not notice a connection that breaks later. */
const pingingArgs = { ...channelArgs, "grpc.http2.max_pings_without_data": int(0n) };

/** The target and the channel arguments of a proxy's connection to the server. */
function channelTo({ server: { target, byHost }, controlPlaneHost, revision }: TlsParameters) {
  const args = revision >= 1 ? pingingArgs : channelArgs;
  if (byHost === undefined || controlPlaneHost === undefined) return { targetUri: target, channelArgs: { args } };
  const verified = { valueSpecifier: { case: "stringValue" as const, value: byHost.verifiedName } };
  return {
    targetUri: hostPort(controlPlaneHost, byHost.port),
    channelArgs: { args: { ...args, "grpc.ssl_target_name_override": verified } },
  };
}

function secretSource(name: string, parameters: TlsParameters): ConfigSource {
  const { server, tokenPath, revision } = parameters;
  const authentication =
    tokenPath === undefined
      ? {}
      : { callCredentials: [fromTokenFile(tokenPath)], credentialsFactoryName: fileCredentials };
  return create(ConfigSourceSchema, {
    resourceApiVersion: ApiVersion.V3,
    ...(revision >= 1 ? { initialFetchTimeout: { nanos: secretPatienceMs * 1_000_000 } } : {}),
    configSourceSpecifier: {
      case: "apiConfigSource",
      value: {
        apiType: ApiConfigSource_ApiType.GRPC,
        transportApiVersion: ApiVersion.V3,
        setNodeOnFirstMessageOnly: true,
        grpcServices: [
          {
            targetSpecifier: {
              case: "googleGrpc",
              value: {
                ...channelTo(parameters),
                statPrefix: `sds_${name}`,
                channelCredentials: {
                  credentialSpecifier: {
                    case: "sslCredentials",
                    value: { rootCerts: { specifier: { case: "inlineBytes", value: bytes(server.root) } } },
                  },
                },
                ...authentication,
              },
            },
          },
        ],
      },
    },
  });
}

const bytes = (text: string) => new TextEncoder().encode(text);

/**
 * A name that our certificate authorities never issue: it permits nobody, while Envoy treats an empty list as
 * everybody.
 */
const nobody = "urn:kuma:nobody";

const exactly = (value: string): StringMatcher =>
  create(StringMatcherSchema, { matchPattern: { case: "exact", value } });
const beginning = (value: string): StringMatcher =>
  create(StringMatcherSchema, { matchPattern: { case: "prefix", value } });

const uri = (matcher: StringMatcher): SubjectAltNameMatcher =>
  create(SubjectAltNameMatcherSchema, { sanType: SubjectAltNameMatcher_SanType.URI, matcher });

/** The peers that pass the handshake. Never empty: Envoy would then accept any certificate of the authority. */
function peers(mesh: string, permitted: Permitted): SubjectAltNameMatcher[] {
  if (permitted.kind === "anyone") return [uri(beginning(meshUri(mesh)))];
  if (permitted.services.length === 0) return [uri(exactly(nobody))];
  return permitted.services.map((service) => uri(exactly(serviceUri(mesh, service))));
}

function commonContext(parameters: TlsParameters, accepted: SubjectAltNameMatcher[]): CommonTlsContext {
  return create(CommonTlsContextSchema, {
    tlsCertificateSdsSecretConfigs: [{ name: identityName, sdsConfig: secretSource(identityName, parameters) }],
    validationContextType: {
      case: "combinedValidationContext",
      value: {
        defaultValidationContext: { matchTypedSubjectAltNames: accepted },
        validationContextSdsSecretConfig: { name: meshCaName, sdsConfig: secretSource(meshCaName, parameters) },
      },
    },
  });
}

const transportSocketName = "envoy.transport_sockets.tls";

/** Cached: the instances of a service have their own listeners, but share one TLS context. */
const downstreamContext = memoOfRecent(256, ({ tls, permitted }: { tls: TlsParameters; permitted: Permitted }) => {
  const context = create(DownstreamTlsContextSchema, {
    commonTlsContext: commonContext(tls, peers(tls.mesh, permitted)),
    requireClientCertificate: true,
  });
  return anyPack(DownstreamTlsContextSchema, context);
});

/** The transport socket of an inbound: mutual TLS that only accepts permitted services. */
export function inboundTls(parameters: { readonly tls: TlsParameters; readonly permitted: Permitted }) {
  const value = downstreamContext(parameters);
  return { name: transportSocketName, configType: { case: "typedConfig" as const, value } };
}

/** The transport socket of an upstream: its certificate must have the SPIFFE ID of that service. */
export function outboundTls(parameters: TlsParameters, service: string) {
  const context = create(UpstreamTlsContextSchema, {
    commonTlsContext: commonContext(parameters, [uri(exactly(serviceUri(parameters.mesh, service)))]),
  });
  return {
    name: transportSocketName,
    configType: { case: "typedConfig" as const, value: anyPack(UpstreamTlsContextSchema, context) },
  };
}

type Rules = NonNullable<MessageInitShape<typeof RBACSchema>["rules"]>;

/**
 * The second line of defence after the handshake. There is one policy for any number of permissions, so that equal sets
 * have equal bytes. Rules without a policy deny everyone, whereas absent rules would not be enforced at all.
 */
function rules(mesh: string, permitted: Permitted): Rules {
  if (permitted.kind === "services" && permitted.services.length === 0) return { action: RBAC_Action.ALLOW };
  const principals =
    permitted.kind === "anyone"
      ? [{ identifier: { case: "any" as const, value: true } }]
      : permitted.services.map((service) => ({
          identifier: {
            case: "authenticated" as const,
            value: { principalName: exactly(serviceUri(mesh, service)) },
          },
        }));
  return {
    action: RBAC_Action.ALLOW,
    policies: { allow: { permissions: [{ rule: { case: "any", value: true } }], principals } },
  };
}

/** Cached: the rules are the larger part of a filter, and are equal for all instances of a service. */
const encodedRules = memoOfRecent(256, ({ mesh, permitted }: { mesh: string; permitted: Permitted }) =>
  toBinary(RBACSchema, create(RBACSchema, { rules: rules(mesh, permitted) })),
);

/** The RBAC network filter that allows permitted services. */
export function permissionFilter(mesh: string, statPrefix: string, permitted: Permitted) {
  const common = encodedRules({ mesh, permitted });
  // Concatenating two encoded messages merges them into one with the fields of both.
  const own = toBinary(RBACSchema, create(RBACSchema, { statPrefix }));
  const value = new Uint8Array(common.length + own.length);
  value.set(common);
  value.set(own, common.length);
  return {
    name: "envoy.filters.network.rbac",
    configType: {
      case: "typedConfig" as const,
      value: create(AnySchema, { typeUrl: `type.googleapis.com/${RBACSchema.typeName}`, value }),
    },
  };
}
