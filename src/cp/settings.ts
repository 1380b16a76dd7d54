import { load } from "js-yaml";
import type { KeyType } from "../identity/key-pair.js";
import { UserError } from "../lib/errors.js";
import { connectableHost } from "../lib/host.js";
import {
  bool,
  durationSetting,
  int,
  ipAddress,
  list,
  mask,
  type Origin,
  oneOf,
  type Parser,
  port,
  type Resolved,
  resolveSettings,
  type Setting,
  type SettingsTable,
  str,
  type Values,
} from "../lib/settings.js";
import { grpcLimits } from "../net/grpc-limits.js";
import { fromJson } from "../resources/envelope.js";
import { type Mesh, meshType } from "../resources/mesh.js";
import { storeKinds } from "../store/kinds.js";
import { kubernetesKind } from "../store/kubernetes/kind.js";
import { effectiveDocument, effectiveEnvironment } from "./ineffective.js";
import { chosenKind, type StoreKinds, settingsOf, storeTypeSetting, unusedSettings } from "./store-settings.js";

function setting<T>(
  path: string,
  env: string,
  preset: T,
  parse: Parser<T>,
  sentence: string,
  show?: (value: T) => unknown,
): Setting<T> {
  return { path, env: [env], default: preset, parse, sentence, ...(show === undefined ? {} : { show }) };
}

/** From whom the HTTP API accepts changes: programs on this machine, or everyone. */
type ChangesFrom = "localhost" | "none";

type Environment = "universal" | "kubernetes";

/** Non-empty text; an empty variable is an error. */
const filled = (what: string): Parser<string> =>
  Object.assign(
    (raw: unknown, name: string): string => {
      const value = str(raw, name);
      if (value === "") throw UserError.of("setting.invalid", { setting: name, value: "empty", expected: what });
      return value;
    },
    { takesEmpty: true },
  );

/** Brackets around an IPv6 address are removed: URLs add their own. */
const host: Parser<string> = (raw, name) => {
  const value = str(raw, name);
  const usable = connectableHost(value);
  if (usable !== undefined) return usable;
  throw UserError.of("setting.invalid", {
    setting: name,
    value: JSON.stringify(value),
    expected:
      "a host that others connect to, without scheme or port: " +
      "a DNS name, or an IP address such as 192.168.0.1 or fd00::1",
  });
};

const hostOrNone: Parser<string> = (raw, name) => (raw === "" ? "" : host(raw, name));

/** The initial Mesh of a new installation, as a YAML document; only its spec is used. */
const meshDocument: Parser<Mesh> = (raw, name) => {
  try {
    const document = typeof raw === "string" ? load(raw) : raw;
    const { spec, unknown } = fromJson(meshType, document, "strict");
    const completed = meshType.defaults(spec);
    const [problem] = [...unknown, ...meshType.validate(completed)];
    if (problem !== undefined) throw new Error(`${problem.field}: ${problem.message}`);
    return completed;
  } catch (error) {
    throw UserError.of("setting.mesh", { setting: name, reason: error });
  }
};

const asSeconds = (milliseconds: number) => `${milliseconds / 1000}s`;
const hour = 3_600_000;
const asHours = (milliseconds: number) =>
  milliseconds > 0 && milliseconds % hour === 0 ? `${milliseconds / hour}h` : asSeconds(milliseconds);

// Names and defaults are Kuma 0.3's; unused settings are omitted.
const beforeStores = {
  environment: setting<Environment>(
    "environment",
    "KUMA_ENVIRONMENT",
    "universal",
    oneOf("universal", "kubernetes"),
    "Where the control plane runs: universal or kubernetes; unset, it follows the store.",
  ),
  advertisedHostname: setting(
    "general.advertisedHostname",
    "KUMA_GENERAL_ADVERTISED_HOSTNAME",
    "localhost",
    Object.assign(host, { takesEmpty: true }),
    "Host name or IP address by which dataplanes and kumactl reach this control plane; with the default, other " +
      "machines get the address that they requested their bootstrap from.",
  ),
} satisfies SettingsTable;

const afterStores = {
  pollingInterval: setting(
    "discovery.universal.pollingInterval",
    "KUMA_DISCOVERY_UNIVERSAL_POLLING_INTERVAL",
    1000,
    durationSetting(10),
    "How often to poll the database for changes when its notifications do not arrive, as behind a transaction pooler.",
    asSeconds,
  ),
  dataplaneCleanupAge: setting(
    "runtime.universal.dataplaneCleanupAge",
    "KUMA_RUNTIME_UNIVERSAL_DATAPLANE_CLEANUP_AGE",
    0,
    durationSetting(),
    "How long a dataplane that was connected may be offline before it is deleted; 0s means forever.",
    asHours,
  ),
  apiPort: setting("apiServer.port", "KUMA_API_SERVER_PORT", 5681, port, "Port of the HTTP API."),
  apiInterface: setting(
    "apiServer.interface",
    "KUMA_API_SERVER_INTERFACE",
    "0.0.0.0",
    ipAddress,
    "Address that the HTTP API listens on.",
  ),
  apiReadOnly: setting(
    "apiServer.readOnly",
    "KUMA_API_SERVER_READ_ONLY",
    false,
    bool,
    "Whether the HTTP API rejects all changes.",
  ),
  corsAllowedDomains: setting<readonly string[]>(
    "apiServer.corsAllowedDomains",
    "KUMA_API_SERVER_CORS_ALLOWED_DOMAINS",
    [],
    list,
    "Origins, or regular expressions (RE2) of origins, of other sites that may use the HTTP API from a browser.",
  ),
  apiAuthnType: setting<ChangesFrom>(
    "apiServer.authn.type",
    "KUMA_API_SERVER_AUTHN_TYPE",
    "localhost",
    oneOf("localhost", "none"),
    "Who may change resources: localhost (only the control plane's own machine) or none (whoever reaches the port).",
  ),
  bootstrapPort: setting(
    "bootstrapServer.port",
    "KUMA_BOOTSTRAP_SERVER_PORT",
    5682,
    port,
    "Port of the server that kuma-dp gets its Envoy bootstrap from.",
  ),
  adminAddress: setting(
    "bootstrapServer.params.adminAddress",
    "KUMA_BOOTSTRAP_SERVER_PARAMS_ADMIN_ADDRESS",
    "127.0.0.1",
    ipAddress,
    "Address of Envoy's admin server.",
  ),
  adminPort: setting(
    "bootstrapServer.params.adminPort",
    "KUMA_BOOTSTRAP_SERVER_PARAMS_ADMIN_PORT",
    0,
    port,
    "Port of Envoy's admin server unless kuma-dp requests one; 0 means no port.",
  ),
  adminAccessLogPath: setting(
    "bootstrapServer.params.adminAccessLogPath",
    "KUMA_BOOTSTRAP_SERVER_PARAMS_ADMIN_ACCESS_LOG_PATH",
    "/dev/null",
    filled("a path"),
    "File that Envoy's admin server logs requests to.",
  ),
  xdsHost: setting(
    "bootstrapServer.params.xdsHost",
    "KUMA_BOOTSTRAP_SERVER_PARAMS_XDS_HOST",
    "",
    hostOrNone,
    "Host that Envoys connect to for xDS; empty means the advertised hostname.",
  ),
  xdsPortForEnvoy: setting(
    "bootstrapServer.params.xdsPort",
    "KUMA_BOOTSTRAP_SERVER_PARAMS_XDS_PORT",
    0,
    port,
    "Port that Envoys connect to for xDS; 0 means the port of the xDS server.",
  ),
  xdsConnectTimeout: setting(
    "bootstrapServer.params.xdsConnectTimeout",
    "KUMA_BOOTSTRAP_SERVER_PARAMS_XDS_CONNECT_TIMEOUT",
    1000,
    durationSetting(1),
    "How long Envoy waits for a connection to the xDS server.",
    asSeconds,
  ),
  xdsPort: setting("xdsServer.grpcPort", "KUMA_XDS_SERVER_GRPC_PORT", 5678, port, "Port of the xDS server."),
  maxFirstRequestBytes: setting(
    "xdsServer.maxFirstRequestBytes",
    "KUMA_XDS_SERVER_MAX_FIRST_REQUEST_BYTES",
    grpcLimits.first_message.value as number,
    int(65_536, grpcLimits.message.value),
    "Maximum size of the first request of a discovery stream, which lists all clusters that a proxy has, about 70 bytes each.",
  ),
  maxOpeningConnections: setting(
    "xdsServer.maxOpeningConnections",
    "KUMA_XDS_SERVER_MAX_OPENING_CONNECTIONS",
    grpcLimits.connections_per_address.value as number,
    int(1, 65_536),
    "Connections per address to the xDS or SDS server that have not sent a valid request; further ones are queued.",
  ),
  diagnosticsPort: setting(
    "xdsServer.diagnosticsPort",
    "KUMA_XDS_SERVER_DIAGNOSTICS_PORT",
    5680,
    port,
    "Port of /healthy, /ready and /metrics.",
  ),
  refreshInterval: setting(
    "xdsServer.dataplaneConfigurationRefreshInterval",
    "KUMA_XDS_SERVER_DATAPLANE_CONFIGURATION_REFRESH_INTERVAL",
    1000,
    durationSetting(1),
    "Maximum time that changes are collected before they are sent to proxies (never more than 100ms).",
    asSeconds,
  ),
  statusFlushInterval: setting(
    "xdsServer.dataplaneStatusFlushInterval",
    "KUMA_XDS_SERVER_DATAPLANE_STATUS_FLUSH_INTERVAL",
    1000,
    durationSetting(1),
    "How often the state of discovery streams is written to DataplaneInsights.",
    asSeconds,
  ),
  sdsPort: setting(
    "sdsServer.grpcPort",
    "KUMA_SDS_SERVER_GRPC_PORT",
    5677,
    port,
    "Port of the SDS server, which serves certificates to dataplanes.",
  ),
  sdsTlsCertFile: setting(
    "sdsServer.tlsCertFile",
    "KUMA_SDS_SERVER_TLS_CERT_FILE",
    "",
    str,
    "Certificate of the SDS server, in PEM; empty means one that is generated at the first start and kept in the store.",
  ),
  sdsTlsKeyFile: setting(
    "sdsServer.tlsKeyFile",
    "KUMA_SDS_SERVER_TLS_KEY_FILE",
    "",
    str,
    "Key of that certificate, in PEM.",
  ),
  tokenServerEnabled: {
    path: "dataplaneTokenServer.enabled",
    // The second is the name in Kuma's sample file.
    env: ["KUMA_DATAPLANE_TOKEN_SERVER_ENABLED", "KUMA_ADMIN_SERVER_DATAPLANE_TOKEN_WS_ENABLED"],
    default: true as boolean,
    parse: bool,
    sentence:
      "Whether there is a token server; without it the SDS server accepts any dataplane name without authentication.",
  },
  tokenLocalPort: setting(
    "dataplaneTokenServer.local.port",
    "KUMA_DATAPLANE_TOKEN_SERVER_LOCAL_PORT",
    5679,
    port,
    "Port of the token server on 127.0.0.1.",
  ),
  tokenLocalSecretsTokenFile: setting(
    "dataplaneTokenServer.local.secretsTokenFile",
    "KUMA_DATAPLANE_TOKEN_SERVER_LOCAL_SECRETS_TOKEN_FILE",
    "",
    str,
    "File with the token that allows `kumactl export --secrets` on this machine to read all keys, created at the first start; empty disables this.",
  ),
  tokenPublicEnabled: setting(
    "dataplaneTokenServer.public.enabled",
    "KUMA_DATAPLANE_TOKEN_SERVER_PUBLIC_ENABLED",
    false,
    bool,
    "Whether tokens are also issued to other machines, over HTTPS, for known client certificates.",
  ),
  tokenPublicInterface: setting(
    "dataplaneTokenServer.public.interface",
    "KUMA_DATAPLANE_TOKEN_SERVER_PUBLIC_INTERFACE",
    "",
    str,
    "Address that the public token server listens on.",
  ),
  tokenPublicPort: setting(
    "dataplaneTokenServer.public.port",
    "KUMA_DATAPLANE_TOKEN_SERVER_PUBLIC_PORT",
    0,
    port,
    "Port of the public token server; 0 means that of the local one.",
  ),
  tokenPublicTlsCertFile: setting(
    "dataplaneTokenServer.public.tlsCertFile",
    "KUMA_DATAPLANE_TOKEN_SERVER_PUBLIC_TLS_CERT_FILE",
    "",
    str,
    "Certificate of the public token server, in PEM.",
  ),
  tokenPublicTlsKeyFile: setting(
    "dataplaneTokenServer.public.tlsKeyFile",
    "KUMA_DATAPLANE_TOKEN_SERVER_PUBLIC_TLS_KEY_FILE",
    "",
    str,
    "Key of that certificate, in PEM.",
  ),
  tokenPublicClientCertsDir: setting(
    "dataplaneTokenServer.public.clientCertsDir",
    "KUMA_DATAPLANE_TOKEN_SERVER_PUBLIC_CLIENT_CERTS_DIR",
    "",
    str,
    "Directory with the certificates of clients that may use the public token server, in files that end in .pem.",
  ),
  caKeyType: setting<KeyType>(
    "ca.builtin.keyType",
    "KUMA_CA_BUILTIN_KEY_TYPE",
    "ecdsa-p256",
    oneOf("ecdsa-p256", "rsa-2048"),
    "Key type of new built-in certificate authorities and their workloads: ecdsa-p256 or rsa-2048.",
  ),
  workloadCertValidity: setting(
    "ca.builtin.workloadCertValidity",
    "KUMA_CA_BUILTIN_WORKLOAD_CERT_VALIDITY",
    720 * hour,
    // Certificates have whole seconds.
    durationSetting(1000),
    "Validity of a workload's certificate; it is renewed after four fifths of that.",
    asHours,
  ),
  defaultMesh: setting<Mesh>(
    "defaults.mesh",
    "KUMA_DEFAULTS_MESH",
    meshType.defaults({}),
    meshDocument,
    'The Mesh "default" of a new installation, as YAML.',
    (spec) => ({ type: "Mesh", name: "default", ...spec }),
  ),
} satisfies SettingsTable;

/** Every setting of kuma-cp with these stores, in display order. */
export const tableWith = (kinds: StoreKinds) => ({
  ...beforeStores,
  storeType: storeTypeSetting(kinds),
  ...settingsOf(kinds),
  ...afterStores,
});

export const table = tableWith(storeKinds);

export type Settings = Values<typeof table>;
export type Table = Readonly<Record<keyof Settings, SettingsTable[string]>>;

export interface ReadSettings {
  readonly settings: Settings;
  /** The table that the settings belong to. */
  readonly table: Table;
  readonly origins: Resolved<typeof table>["origins"];
  readonly warnings: readonly string[];
}

/**
 * Reads settings from a YAML file, if given, and the environment, which takes precedence.
 * @throws UserError `settings.invalid` with all errors, `config-file.unparsable` for invalid YAML
 */
export function readSettings(
  file: { readonly path: string; readonly text: string } | undefined,
  env: Readonly<Record<string, string | undefined>>,
  kinds: StoreKinds = storeKinds,
): ReadSettings {
  const table = tableWith(kinds);
  const rows = Object.values(table);
  const environment = effectiveEnvironment(env, new Set(rows.flatMap((row) => row.env)));
  const paths = rows.map(({ path }) => path);
  const document = effectiveDocument(file === undefined ? {} : parseFile(file), paths);
  const { values, origins, warnings } = resolveSettings(table, {
    env: environment.rest,
    ...(file === undefined ? {} : { file: { path: file.path, document: document.rest } }),
  });
  const given = origins.environment === "default" ? environmentOf(values) : values.environment;
  const settings = { ...values, environment: given };
  const problems = contradictions(settings, kinds);
  if (problems.length > 0) throw UserError.of("settings.invalid", { problems: problems.join("; ") });
  const unused = unusedSettings(kinds, table, { values, origins });
  return {
    settings: given === "kubernetes" ? { ...settings, ...onKubernetes } : settings,
    table,
    origins,
    warnings: [
      ...document.warnings,
      ...environment.warnings,
      ...unused,
      ...(given === "kubernetes" ? withoutEffect(settings, origins) : []),
      ...warnings,
    ],
  };
}

/** The store whose state is the API server's, and the environment of the same name. */
const kubernetes = kubernetesKind.name;

const environmentOf = ({ storeType }: Settings): Environment => (storeType === kubernetes ? kubernetes : "universal");

/** What is so on Kubernetes, whatever the settings say: state is changed by kubectl, pods have ServiceAccounts. */
const onKubernetes = { apiReadOnly: true, tokenServerEnabled: false, tokenPublicEnabled: false } as const;

const reasonOnKubernetes: Readonly<Record<keyof typeof onKubernetes, string>> = {
  apiReadOnly: "the HTTP API is read-only, and kubectl changes resources",
  tokenServerEnabled: "there is no token server, since sidecars prove who they are by ServiceAccount tokens",
  tokenPublicEnabled: "there is no token server, since sidecars prove who they are by ServiceAccount tokens",
};

function withoutEffect(settings: Settings, origins: Readonly<Record<string, Origin>>): string[] {
  return (Object.keys(onKubernetes) as (keyof typeof onKubernetes)[])
    .filter((key) => origins[key] !== "default" && settings[key] !== onKubernetes[key])
    .map((key) => `${variable(key)} has no effect: on Kubernetes ${reasonOnKubernetes[key]}`);
}

/** The name of a setting in messages: its preferred environment variable. */
const variable = (key: keyof Settings): string => table[key].env[0] ?? table[key].path;

/** The setting for allowed origins. */
export const originsVariable = variable("corsAllowedDomains");

const neededByPublic = {
  tokenPublicInterface: "the address to listen on",
  tokenPublicTlsCertFile: "a file with the server's certificate",
  tokenPublicTlsKeyFile: "a file with the key of that certificate",
  tokenPublicClientCertsDir: "a directory with the certificates of clients",
} as const;

/** Settings that are valid on their own and contradict each other. */
function contradictions(settings: Settings, kinds: StoreKinds): string[] {
  const problems: string[] = [];
  const { environment, storeType } = settings;
  if (environment !== environmentOf(settings)) {
    const expected = environment === kubernetes ? `"${kubernetes}"` : "one of the other stores";
    problems.push(
      `${variable("environment")} is "${environment}" and ${variable("storeType")} is "${storeType}": ` +
        `in this environment the store has to be ${expected}`,
    );
  }
  if ((settings.sdsTlsCertFile === "") !== (settings.sdsTlsKeyFile === "")) {
    problems.push(`${variable("sdsTlsCertFile")} and ${variable("sdsTlsKeyFile")} have to be given together`);
  }
  if (settings.tokenLocalSecretsTokenFile !== "" && !settings.tokenServerEnabled) {
    problems.push(`${variable("tokenLocalSecretsTokenFile")} needs ${variable("tokenServerEnabled")} to be true`);
  }
  problems.push(...chosenKind(kinds, settings).contradictions(settings));
  if (!settings.tokenPublicEnabled || environment === kubernetes) return problems;
  const cause = `because ${variable("tokenPublicEnabled")} is true`;
  if (!settings.tokenServerEnabled) problems.push(`${variable("tokenServerEnabled")} has to be true, ${cause}`);
  for (const [key, what] of Object.entries(neededByPublic) as [keyof typeof neededByPublic, string][]) {
    if (settings[key] === "") problems.push(`${variable(key)} is empty, but has to be ${what}, ${cause}`);
  }
  return problems;
}

function parseFile({ path, text }: { readonly path: string; readonly text: string }): unknown {
  try {
    return text.trim() === "" ? {} : load(text);
  } catch (error) {
    throw UserError.of("config-file.unparsable", { file: path, reason: error });
  }
}

/** A setting's value as YAML and JSON show it; secrets are masked. */
export function shown(key: keyof Settings, settings: Settings, from: Table = table): unknown {
  return from[key].secret === true ? mask : shownOpenly(key, settings, from);
}

/** The same for defaults, none of which is a secret. */
export const shownDefault = (key: keyof Settings, defaults: Settings, from: Table): unknown =>
  shownOpenly(key, defaults, from);

function shownOpenly(key: keyof Settings, settings: Settings, from: Table): unknown {
  const { show } = from[key];
  return show === undefined ? settings[key] : show(settings[key]);
}

export const keysOf = (from: Table) => Object.keys(from) as readonly (keyof Settings)[];
export const settingKeys = keysOf(table);

/** The settings as in the YAML file, with secrets masked. */
export function settingsDocument(settings: Settings, from: Table = table): Record<string, unknown> {
  const document: Record<string, unknown> = {};
  for (const key of keysOf(from)) {
    const parts = from[key].path.split(".");
    const last = parts.pop() ?? "";
    let place = document;
    for (const part of parts) {
      place[part] ??= {};
      place = place[part] as Record<string, unknown>;
    }
    place[last] = shown(key, settings, from);
  }
  return document;
}
