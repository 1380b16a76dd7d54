import { availableParallelism } from "node:os";
import path from "node:path";
import { UserError } from "../lib/errors.js";
import { defaultLogDirectories, logDirectoryProblem, mostLogDirectories } from "../lib/log-directories.js";
import { durationSetting, int, list, type Parser, port, resolveSettings, str } from "../lib/settings.js";

/** A required text; a variable that is set to nothing does not count. */
const required: Parser<string> = Object.assign(
  (raw: unknown, name: string): string => {
    const text = str(raw, name);
    if (text.trim() === "") throw UserError.of("setting.empty", { setting: name });
    return text;
  },
  { takesEmpty: true },
);

const httpUrl: Parser<string> = Object.assign(
  (raw: unknown, name: string): string => {
    const text = str(raw, name);
    const url = URL.parse(text);
    if (url !== null && /^https?:$/.test(url.protocol) && url.hostname !== "") return text;
    throw UserError.of("setting.invalid", {
      setting: name,
      value: `"${text}"`,
      expected: "an absolute URL such as http://localhost:5682",
    });
  },
  { takesEmpty: true },
);

/** Directories for log files. Unlike other lists, an empty list is a value here. */
const directories: Parser<readonly string[]> = Object.assign(
  (raw: unknown, name: string): readonly string[] => {
    const given = list(raw, name);
    if (given.length > mostLogDirectories) {
      throw UserError.of("setting.directories", { setting: name, count: given.length, most: mostLogDirectories });
    }
    for (const directory of given) {
      const problem = logDirectoryProblem(directory);
      if (problem !== undefined) throw UserError.of("setting.directory", { setting: name, directory, problem });
    }
    return given;
  },
  { takesEmpty: true },
);

/**
 * The default number of Envoy's worker threads. A sidecar serves one application: a worker per core would multiply
 * connection pools and per-worker copies of the configuration by the number of cores, for each sidecar on the machine.
 */
const defaultConcurrency = Math.min(2, availableParallelism());

/** All settings of kuma-dp. A key is the name of its flag, where `run` has such a flag. */
export const table = {
  name: {
    path: "dataplane.name",
    env: ["KUMA_DATAPLANE_NAME"],
    default: "",
    parse: required,
    sentence: "Name of the Dataplane; required.",
  },
  mesh: {
    path: "dataplane.mesh",
    env: ["KUMA_DATAPLANE_MESH"],
    default: "default",
    parse: required,
    sentence: "Mesh of the Dataplane.",
  },
  cpAddress: {
    path: "controlPlane.bootstrapServer.url",
    env: ["KUMA_CONTROL_PLANE_BOOTSTRAP_SERVER_URL"],
    default: "http://localhost:5682",
    parse: httpUrl,
    sentence: "URL of the control plane's bootstrap server.",
  },
  apiServerUrl: {
    path: "controlPlane.apiServer.url",
    env: ["KUMA_CONTROL_PLANE_API_SERVER_URL"],
    default: "",
    parse: httpUrl,
    sentence:
      "URL of the control plane's API server, whose catalogue has the bootstrap server's URL; used when that URL is not set.",
  },
  caCertFile: {
    path: "controlPlane.caCertFile",
    env: ["KUMA_CONTROL_PLANE_CA_CERT_FILE"],
    default: "",
    parse: str,
    sentence: "CA certificates (PEM) to trust for an https control plane; empty for those of the system.",
  },
  retryBackoff: {
    path: "controlPlane.retry.backoff",
    env: ["KUMA_CONTROL_PLANE_RETRY_BACKOFF"],
    default: 3000,
    parse: durationSetting(1),
    sentence: "Maximum pause between two attempts to reach the control plane.",
  },
  retryMaxDuration: {
    path: "controlPlane.retry.maxDuration",
    env: ["KUMA_CONTROL_PLANE_RETRY_MAX_DURATION"],
    default: 300_000,
    parse: durationSetting(1),
    sentence: "How long kuma-dp tries to reach a control plane before it gives up.",
  },
  adminPort: {
    path: "dataplane.adminPort",
    env: ["KUMA_DATAPLANE_ADMIN_PORT"],
    default: 0,
    parse: port,
    sentence:
      "Port of Envoy's admin interface; 0 for the control plane's choice, which is a Unix socket in the config dir by default.",
  },
  healthPort: {
    path: "dataplane.healthPort",
    env: ["KUMA_DATAPLANE_HEALTH_PORT"],
    default: 0,
    parse: port,
    sentence: "Port of /healthy and /ready on all interfaces; 0 disables it.",
  },
  drainTime: {
    path: "dataplane.drainTime",
    env: ["KUMA_DATAPLANE_DRAIN_TIME"],
    default: 30_000,
    parse: durationSetting(1),
    sentence: "Maximum time to wait for open connections when a listener changes or kuma-dp stops.",
  },
  statusInterval: {
    path: "dataplane.statusInterval",
    env: ["KUMA_DATAPLANE_STATUS_INTERVAL"],
    default: 60_000,
    parse: durationSetting(1),
    sentence:
      "How often kuma-dp asks the control plane whether the Dataplane still exists and its token is accepted, and reports " +
      "listeners that Envoy could not create.",
  },
  binaryPath: {
    path: "dataplaneRuntime.binaryPath",
    env: ["KUMA_DATAPLANE_RUNTIME_BINARY_PATH"],
    default: "envoy",
    parse: required,
    sentence: "Path of Envoy's executable, or a name to look up in PATH, next to kuma-dp and in the working directory.",
  },
  configDir: {
    path: "dataplaneRuntime.configDir",
    env: ["KUMA_DATAPLANE_RUNTIME_CONFIG_DIR"],
    default: "",
    parse: str,
    sentence: "Directory for Envoy's configuration; empty for a temporary one.",
  },
  dataplaneTokenFile: {
    path: "dataplaneRuntime.tokenPath",
    env: ["KUMA_DATAPLANE_RUNTIME_TOKEN_PATH"],
    default: "",
    parse: str,
    sentence: "File with the token from `kumactl generate dataplane-token`.",
  },
  logDirectories: {
    path: "dataplaneRuntime.logDirectories",
    env: ["KUMA_DATAPLANE_LOG_DIRECTORIES"],
    default: defaultLogDirectories,
    parse: directories,
    sentence:
      "Comma-separated absolute paths of directories that Envoy may write access logs to, besides the config dir; empty for none.",
  },
  concurrency: {
    path: "dataplaneRuntime.concurrency",
    env: ["KUMA_DATAPLANE_RUNTIME_CONCURRENCY"],
    default: 0,
    parse: int(0, 1024),
    sentence: "Worker threads of Envoy; 0 for two, or one on a machine with a single core.",
  },
} as const;

/** The resolved settings: paths are absolute, what was not given is undefined, times are in milliseconds. */
export interface Settings {
  readonly name: string;
  readonly mesh: string;
  readonly controlPlane: { readonly kind: "bootstrap-server" | "api-server"; readonly url: string };
  readonly caCertFile: string | undefined;
  readonly retryBackoff: number;
  readonly retryMaxDuration: number;
  readonly adminPort: number;
  readonly healthPort: number;
  readonly drainTime: number;
  readonly statusInterval: number;
  readonly binaryPath: string;
  readonly configDir: string | undefined;
  readonly tokenFile: string | undefined;
  readonly concurrency: number;
  readonly logDirectories: readonly string[];
}

export type Flags = Readonly<Partial<Record<keyof typeof table, string | undefined>>>;

/**
 * Reads the settings from flags and environment. Throws UserError("settings.invalid") that lists everything that is
 * wrong.
 */
export function readSettings(
  flags: Flags,
  env: Readonly<Record<string, string | undefined>>,
  workingDirectory: string,
): { settings: Settings; warnings: readonly string[] } {
  // The name has no default. When it is missing, it is rejected like an empty one, together with the other problems.
  const name = flags.name ?? (table.name.env.every((variable) => env[variable] === undefined) ? "" : undefined);
  const { values, origins, warnings } = resolveSettings(table, { env, flags: { ...flags, name } });
  const absolute = (file: string) => (file === "" ? undefined : path.resolve(workingDirectory, file));
  const viaApi = origins.cpAddress === "default" && origins.apiServerUrl !== "default";
  const configDir = absolute(values.configDir);
  const tokenFile = absolute(values.dataplaneTokenFile);
  if (tokenFile !== undefined && configDir !== undefined && tokenFile === path.join(configDir, "token")) {
    throw UserError.of("settings.invalid", {
      problems: `--dataplane-token-file is ${tokenFile}, where kuma-dp keeps its own copy; move it out of --config-dir`,
    });
  }
  const settings: Settings = {
    name: values.name,
    mesh: values.mesh,
    controlPlane: viaApi
      ? { kind: "api-server", url: values.apiServerUrl }
      : { kind: "bootstrap-server", url: values.cpAddress },
    caCertFile: absolute(values.caCertFile),
    retryBackoff: values.retryBackoff,
    retryMaxDuration: values.retryMaxDuration,
    adminPort: values.adminPort,
    healthPort: values.healthPort,
    drainTime: values.drainTime,
    statusInterval: values.statusInterval,
    binaryPath: values.binaryPath,
    configDir,
    tokenFile,
    concurrency: values.concurrency === 0 ? defaultConcurrency : values.concurrency,
    logDirectories: values.logDirectories,
  };
  return { settings, warnings };
}
