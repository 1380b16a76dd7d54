import { toJson } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import * as assert from "uvu/assert";
import { FileBasedMetadataConfigSchema } from "../../../proto-gen/es/envoy/config/grpc_credential/v3/file_based_metadata_pb.js";
import { RBACSchema } from "../../../proto-gen/es/envoy/extensions/filters/network/rbac/v3/rbac_pb.js";
import {
  type TcpProxy,
  TcpProxySchema,
  UpstreamConnectMode,
} from "../../../proto-gen/es/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js";
import type { SdsSecretConfig } from "../../../proto-gen/es/envoy/extensions/transport_sockets/tls/v3/secret_pb.js";
import type { CommonTlsContext } from "../../../proto-gen/es/envoy/extensions/transport_sockets/tls/v3/tls_pb.js";
import { generate } from "../../../src/envoy/generate.js";
import { createPlacement } from "../../../src/envoy/placement.js";
import type { EnvoyResource } from "../../../src/envoy/resource.js";
import type { SecretServerAddress } from "../../../src/envoy/tls.js";
import { dataplane, meshRecord, meshViewOf, permission } from "../../support/mesh-view.js";
import { suite } from "../../support/suite.js";
import {
  acceptedNames,
  downstreamTls,
  rbac,
  readCluster,
  readListener,
  upstreamTls,
} from "../../support/tls-decoding.js";

const test = suite("TLS in a proxy's configuration");

const root = "-----BEGIN CERTIFICATE-----\nroot\n-----END CERTIFICATE-----\n";
const secretServer = { target: "cp.example:5677", root };

const backend = dataplane("backend-1", {
  inbound: [
    { interface: "127.0.0.1:8000:80", tags: { service: "backend" } },
    { interface: "10.0.0.1:8001:81", tags: { service: "metrics" } },
  ],
  outbound: [
    { interface: ":10000", service: "redis" },
    { interface: ":10001", service: "db:5432" },
  ],
  transparentProxying: { redirectPort: 15_001 },
});
const backend2 = dataplane("backend-2", {
  inbound: [{ interface: "127.0.0.1:8000:80", tags: { service: "backend" } }],
  outbound: [{ interface: ":10000", service: "redis" }],
  transparentProxying: { redirectPort: 15_001 },
});
const webToBackend = permission("p", {
  sources: [{ match: { service: "web" } }, { match: { service: "api" } }],
  destinations: [{ match: { service: "backend" } }],
});

interface Options {
  readonly mtls?: boolean;
  readonly tokenPath?: string;
  readonly bootstrapRevision?: number;
  readonly host?: string;
  readonly name?: string;
  readonly server?: boolean | SecretServerAddress;
}

function configOf(options: Options = {}) {
  const { mtls = true, tokenPath, bootstrapRevision, host, name = "backend-1", server = true } = options;
  const mesh = meshViewOf(meshRecord(mtls), backend, backend2, webToBackend);
  const proxy = mesh.proxies.get(name);
  if (proxy === undefined) throw new Error(`there is no dataplane ${name}`);
  const generatorOptions = {
    connectTimeoutMs: 5000,
    secretServer: server === true ? secretServer : server || undefined,
  };
  const placement = createPlacement({ tokenPath, bootstrapRevision, controlPlaneHost: host });
  return generate(proxy, mesh, generatorOptions, placement).config;
}

function resource(table: ReadonlyMap<string, EnvoyResource>, name: string): EnvoyResource {
  const found = table.get(name);
  if (found === undefined) throw new Error(`there is no ${name} among ${[...table.keys()]}`);
  return found;
}

const inbound = (options?: Options, name = "inbound:127.0.0.1:8000") =>
  readListener(resource(configOf(options).lds, name));
const outbound = (options?: Options, name = "redis") => readCluster(resource(configOf(options).cds, name));

function present<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("it is missing");
  return value;
}

/** Both of a context's secrets: the certificate and the roots. */
function secretsOf(context: CommonTlsContext | undefined): readonly SdsSecretConfig[] {
  const validation = context?.validationContextType;
  assert.is(validation?.case, "combinedValidationContext");
  const roots =
    validation?.case === "combinedValidationContext" ? validation.value.validationContextSdsSecretConfig : undefined;
  return [...(context?.tlsCertificateSdsSecretConfigs ?? []), present(roots)];
}

function googleGrpc({ sdsConfig }: SdsSecretConfig) {
  const source = sdsConfig?.configSourceSpecifier;
  const service = source?.case === "apiConfigSource" ? source.value.grpcServices[0] : undefined;
  const target = service?.targetSpecifier;
  if (target?.case !== "googleGrpc") throw new Error("the secret does not come by Google gRPC");
  return target.value;
}

test("an inbound requires a client certificate of a permitted service, and RBAC checks it again after the handshake", () => {
  const listener = inbound();
  const context = downstreamTls(listener);
  assert.is(context?.requireClientCertificate, true);
  assert.equal(acceptedNames(context?.commonTlsContext), ["URI exact spiffe://m/api", "URI exact spiffe://m/web"]);
  assert.equal(toJson(RBACSchema, present(rbac(listener))), {
    statPrefix: "inbound_127_0_0_1_8000",
    rules: {
      policies: {
        allow: {
          permissions: [{ any: true }],
          principals: ["api", "web"].map((service) => ({
            authenticated: { principalName: { exact: `spiffe://m/${service}` } },
          })),
        },
      },
    },
  });
  const [chain] = listener.filterChains;
  assert.equal(
    chain?.filters.map(({ name }) => name),
    ["envoy.filters.network.rbac", "envoy.filters.network.tcp_proxy"],
  );
  assert.is(chain?.transportSocket?.name, "envoy.transport_sockets.tls");
});

test("an inbound without permitted services accepts only an impossible name, and its RBAC rules have no policy", () => {
  const listener = inbound({}, "inbound:10.0.0.1:8001");
  assert.equal(acceptedNames(downstreamTls(listener)?.commonTlsContext), ["URI exact urn:kuma:nobody"]);
  assert.equal(toJson(RBACSchema, present(rbac(listener))), { statPrefix: "inbound_10_0_0_1_8001", rules: {} });
});

test("an inbound open to every service accepts every name of its mesh", () => {
  const anyone = permission("p", { sources: [{ match: { service: "*" } }], destinations: [{}] });
  const mesh = meshViewOf(meshRecord(), backend2, anyone);
  const { lds } = generate(present(mesh.proxies.get("backend-2")), mesh, { connectTimeoutMs: 1, secretServer }).config;
  const listener = readListener(resource(lds, "inbound:127.0.0.1:8000"));
  assert.equal(acceptedNames(downstreamTls(listener)?.commonTlsContext), ["URI prefix spiffe://m/"]);
  const policy = present(rbac(listener)?.rules?.policies.allow);
  assert.equal(
    policy.principals.map(({ identifier }) => identifier),
    [{ case: "any", value: true }],
  );
});

function proxyFilter(options?: Options): TcpProxy {
  const config = inbound(options).filterChains[0]?.filters.at(-1)?.configType;
  return present(config?.case === "typedConfig" ? anyUnpack(config.value, TcpProxySchema) : undefined);
}

test("an inbound does not connect to its application before the handshake", () => {
  assert.is(proxyFilter().upstreamConnectMode, UpstreamConnectMode.ON_DOWNSTREAM_TLS_HANDSHAKE);
  assert.is(proxyFilter({ mtls: false }).upstreamConnectMode, UpstreamConnectMode.IMMEDIATE);
});

for (const service of ["redis", "db:5432"]) {
  test(`a cluster verifies that its peer is exactly ${service}`, () => {
    const cluster = outbound({}, service);
    assert.is(cluster.transportSocket?.name, "envoy.transport_sockets.tls");
    assert.equal(acceptedNames(upstreamTls(cluster)?.commonTlsContext), [`URI exact spiffe://m/${service}`]);
  });
}

const sides: readonly (readonly [title: string, context: (options?: Options) => CommonTlsContext | undefined])[] = [
  ["inbound", (options) => downstreamTls(inbound(options))?.commonTlsContext],
  ["outbound", (options) => upstreamTls(outbound(options))?.commonTlsContext],
];

for (const [side, context] of sides) {
  test(`${side}: certificate and roots come from the secret server, whose own certificate is the root of trust`, () => {
    const secrets = secretsOf(context());
    assert.equal(
      secrets.map(({ name }) => name),
      ["identity_cert", "mesh_ca"],
    );
    for (const secret of secrets) {
      const grpc = googleGrpc(secret);
      assert.is(grpc.targetUri, "cp.example:5677");
      assert.is(grpc.statPrefix, `sds_${secret.name}`);
      const channel = grpc.channelCredentials?.credentialSpecifier;
      const roots = channel?.case === "sslCredentials" ? channel.value.rootCerts?.specifier : undefined;
      assert.is(roots?.case === "inlineBytes" ? Buffer.from(roots.value).toString() : undefined, root);
      const source = secret.sdsConfig?.configSourceSpecifier;
      assert.equal(
        source?.case === "apiConfigSource" ? [source.value.apiType, source.value.transportApiVersion] : source?.case,
        [2, 2],
        "state of the world, API version 3",
      );
      assert.is(secret.sdsConfig?.resourceApiVersion, 2);
    }
  });

  test(`${side}: Envoys that were started with this revision wait half a second for secrets`, () => {
    for (const [bootstrapRevision, nanos] of [
      [1, 500_000_000],
      [0, undefined],
    ] as const) {
      const waits = secretsOf(context({ bootstrapRevision })).map(
        ({ sdsConfig }) => sdsConfig?.initialFetchTimeout?.nanos,
      );
      assert.equal(waits, [nanos, nanos]);
    }
  });

  test(`${side}: Envoys that were started by an older release keep their channel to the secret server as it was`, () => {
    const before = [
      "grpc.initial_reconnect_backoff_ms",
      "grpc.keepalive_time_ms",
      "grpc.keepalive_timeout_ms",
      "grpc.max_reconnect_backoff_ms",
    ];
    for (const [bootstrapRevision, added] of [
      [0, []],
      [1, ["grpc.http2.max_pings_without_data"]],
    ] as const) {
      const server = { ...secretServer, byHost: { port: 5677, verifiedName: "localhost" } };
      for (const secret of secretsOf(context({ bootstrapRevision, server }))) {
        const { targetUri, channelArgs } = googleGrpc(secret);
        assert.is(targetUri, "cp.example:5677");
        assert.equal(Object.keys(channelArgs?.args ?? {}).sort(), [...added, ...before]);
      }
    }
  });

  test(`${side}: without a token there are no call credentials`, () => {
    for (const secret of secretsOf(context())) {
      const { callCredentials, credentialsFactoryName } = googleGrpc(secret);
      assert.equal([callCredentials.length, credentialsFactoryName], [0, ""]);
    }
  });

  test(`${side}: with a token, Envoy reads it from the file at the proxy's token path`, () => {
    for (const secret of secretsOf(context({ tokenPath: "token" }))) {
      const { callCredentials, credentialsFactoryName } = googleGrpc(secret);
      assert.is(credentialsFactoryName, "envoy.grpc_credentials.file_based_metadata");
      assert.is(callCredentials.length, 1);
      const plugin = callCredentials[0]?.credentialSpecifier;
      assert.is(plugin?.case, "fromPlugin");
      if (plugin?.case !== "fromPlugin" || plugin.value.configType.case !== "typedConfig") continue;
      assert.is(plugin.value.name, "envoy.grpc_credentials.file_based_metadata");
      const file = present(anyUnpack(plugin.value.configType.value, FileBasedMetadataConfigSchema));
      assert.equal(toJson(FileBasedMetadataConfigSchema, file), { secretData: { filename: "token" } });
    }
  });

  test(`${side}: the TLS versions are Envoy's defaults, and there is no ALPN`, () => {
    assert.is(context()?.tlsParams, undefined);
    assert.equal(context()?.alpnProtocols, []);
  });
}

const byHost = { port: 5677, verifiedName: "localhost" };

test("a proxy that names its control plane host connects to the secret server there, and verifies its one name", () => {
  const told = (host: string | undefined, server: SecretServerAddress) => {
    const { cds } = configOf({ tokenPath: "token", ...(host === undefined ? {} : { host }), server });
    return secretsOf(upstreamTls(readCluster(resource(cds, "redis")))?.commonTlsContext).map((secret) => {
      const { targetUri, channelArgs } = googleGrpc(secret);
      return [targetUri, channelArgs?.args["grpc.ssl_target_name_override"]?.valueSpecifier.value];
    });
  };
  const twice = (...answer: unknown[]) => [answer, answer];
  const open = { ...secretServer, byHost };
  assert.equal(told("10.0.0.1", open), twice("10.0.0.1:5677", "localhost"));
  assert.equal(told("fd00::1", open), twice("[fd00::1]:5677", "localhost"));
  assert.equal(told(undefined, open), twice("cp.example:5677", undefined));
  assert.equal(told("no host", open), twice("cp.example:5677", undefined));
  assert.equal(told("10.0.0.1", secretServer), twice("cp.example:5677", undefined));
});

test("two proxies with the same token path share equal resources, TLS contexts included; another path has its own", () => {
  const proxies = ["backend-1", "backend-2"].map((name) => configOf({ name, tokenPath: "token" }));
  const elsewhere = configOf({ tokenPath: "/run/token" });
  const server = { ...secretServer, byHost };
  const sameHost = ["backend-1", "backend-2"].map((name) => configOf({ name, host: "10.0.0.1", server }));
  const otherHost = configOf({ host: "10.0.0.2", server });
  for (const [kind, name] of [
    ["lds", "inbound:127.0.0.1:8000"],
    ["cds", "redis"],
  ] as const) {
    const [one, two] = proxies.map((config) => resource(config[kind], name));
    assert.ok(one === two, name);
    assert.is.not(one?.version, resource(elsewhere[kind], name).version);
    const [near, far] = sameHost.map((config) => resource(config[kind], name));
    assert.ok(near === far, name);
    assert.is.not(near?.version, resource(otherHost[kind], name).version);
  }
});

test("only inbounds and service clusters have TLS, not local or pass-through traffic", () => {
  const { lds, cds } = configOf({ tokenPath: "token" });
  const listeners = [...lds].filter(([, listener]) => downstreamTls(readListener(listener)) !== undefined);
  assert.equal(listeners.map(([name]) => name).sort(), ["inbound:10.0.0.1:8001", "inbound:127.0.0.1:8000"]);
  assert.equal([...lds.keys()].filter((name) => !name.startsWith("inbound")).sort(), [
    "catch_all",
    "outbound:127.0.0.1:10000",
    "outbound:127.0.0.1:10001",
  ]);
  const clusters = [...cds].filter(([, cluster]) => upstreamTls(readCluster(cluster)) !== undefined);
  assert.equal(clusters.map(([name]) => name).sort(), ["db:5432", "redis"]);
  assert.equal([...cds.keys()].filter((name) => !clusters.some(([other]) => other === name)).sort(), [
    "localhost:80",
    "localhost:81",
    "pass_through",
  ]);
});

test("with mTLS off there is no TLS and no RBAC anywhere, with or without a secret server", () => {
  for (const server of [true, false]) {
    const { lds, cds } = configOf({ mtls: false, tokenPath: "token", server });
    assert.is(lds.size, 5);
    for (const listener of [...lds.values()].map(readListener)) {
      assert.is(listener.filterChains.length, 1);
      const [chain] = listener.filterChains;
      assert.equal(
        chain?.filters.map(({ name }) => name),
        ["envoy.filters.network.tcp_proxy"],
      );
      assert.is(chain?.transportSocket, undefined);
    }
    for (const cluster of [...cds.values()].map(readCluster)) assert.is(cluster.transportSocket, undefined);
  }
});

test("with mTLS on and no secret server nothing is generated: there is no fallback to plaintext", () => {
  assert.throws(() => configOf({ server: false }), /mesh "m" has mTLS on, and there is no secret server/);
});

test.run();
