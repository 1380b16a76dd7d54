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
 * How proxies reach the secret discovery server. Equal for all proxies with a token that reach it by the same host, and
 * so are their TLS contexts.
 */
export interface SecretServerAddress {
  /** `host:port`, an IPv6 host in brackets. */
  readonly target: string;
  /** PEM of the certificate that the server presents. */
  readonly root: string;
  /** How it is reached by proxies that say by which host they reach the control plane; without it they use `target`. */
  readonly byHost?: {
    readonly port: number;
    /** A name in the certificate. It stands for every host, so that there is one certificate for all of them. */
    readonly verifiedName: string;
  };
}

/** The secrets of a proxy: the roots of its mesh, and its own certificate with its key. */
export const meshCaName = "mesh_ca";
export const identityName = "identity_cert";

/** Which secrets a proxy's TLS contexts ask for, and as whom. */
export interface TlsParameters {
  readonly mesh: string;
  readonly server: SecretServerAddress;
  /** The token's file on the proxy's machine; without one the secret server hands out no identity. */
  readonly tokenPath: string | undefined;
  /** The host by which the proxy reaches the control plane, when it says so. */
  readonly controlPlaneHost: string | undefined;
  /**
   * The revision of the proxy's bootstrap: from 1 on it waits for `secretPatienceMs` only, before for Envoy's 15 s, and it
   * pings the server for as long as that is silent.
   */
  readonly revision: number;
}

/**
 * How long a listener or cluster that needs secrets may wait for them before it takes the place of the one that goes on
 * in plaintext meanwhile. From then on it is closed, and opens as soon as the secrets are there. Half of the second
 * that we promise: the rest is for Envoy's work.
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
 * gRPC's own defaults notice a vanished server only when they write, and wait up to two minutes between attempts: too
 * long for a proxy that waits for its certificate.
 */
const channelArgs = {
  "grpc.initial_reconnect_backoff_ms": int(500n),
  "grpc.keepalive_time_ms": int(30_000n),
  "grpc.keepalive_timeout_ms": int(10_000n),
  "grpc.max_reconnect_backoff_ms": int(10_000n),
};

/** By default gRPC pings a server that sends nothing twice and no more: it notices no connection that goes deaf later. */
const pingingArgs = { ...channelArgs, "grpc.http2.max_pings_without_data": int(0n) };

/** Where a proxy finds the server, and what its channel has to know. */
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

/** A name no certificate authority of ours issues: a list of nobody that Envoy doesn't take for "everybody". */
const nobody = "urn:kuma:nobody";

const exactly = (value: string): StringMatcher =>
  create(StringMatcherSchema, { matchPattern: { case: "exact", value } });
const beginning = (value: string): StringMatcher =>
  create(StringMatcherSchema, { matchPattern: { case: "prefix", value } });

const uri = (matcher: StringMatcher): SubjectAltNameMatcher =>
  create(SubjectAltNameMatcherSchema, { sanType: SubjectAltNameMatcher_SanType.URI, matcher });

/** Which peers pass the handshake. Never an empty list: Envoy would then take any certificate of the authority. */
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

/** The instances of a service have listeners of their own, and one context. */
const downstreamContext = memoOfRecent(256, ({ tls, permitted }: { tls: TlsParameters; permitted: Permitted }) => {
  const context = create(DownstreamTlsContextSchema, {
    commonTlsContext: commonContext(tls, peers(tls.mesh, permitted)),
    requireClientCertificate: true,
  });
  return anyPack(DownstreamTlsContextSchema, context);
});

/** The transport socket of an inbound: both sides present certificates, and only permitted services pass. */
export function inboundTls(parameters: { readonly tls: TlsParameters; readonly permitted: Permitted }) {
  const value = downstreamContext(parameters);
  return { name: transportSocketName, configType: { case: "typedConfig" as const, value } };
}

/** The transport socket towards a service: its certificate must name that service. */
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
 * The second line behind the handshake. One policy whatever the number of permissions, so that equal sets have equal
 * bytes; rules without a policy deny everybody, where rules that are absent would be no rules at all.
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

/** The rules are the larger part of a filter, and the same for all instances of a service. */
const encodedRules = memoOfRecent(256, ({ mesh, permitted }: { mesh: string; permitted: Permitted }) =>
  toBinary(RBACSchema, create(RBACSchema, { rules: rules(mesh, permitted) })),
);

/** The network filter that lets permitted services pass. */
export function permissionFilter(mesh: string, statPrefix: string, permitted: Permitted) {
  const common = encodedRules({ mesh, permitted });
  // Messages that are encoded one after the other are one message with the fields of both.
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
