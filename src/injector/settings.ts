import type { InjectionOptions } from "../kubernetes/injection/options.js";
import { type ConfigFile, parseConfigFile } from "../lib/config-file.js";
import { parseDuration } from "../lib/durations.js";
import { UserError } from "../lib/errors.js";
import { parseQuantity } from "../lib/quantity.js";
import {
  bool,
  durationSetting,
  int,
  ipAddress,
  type Parser,
  port,
  type Resolved,
  resolveSettings,
  type Setting,
  type SettingsTable,
  str,
  type Values,
} from "../lib/settings.js";

const invalid = (setting: string, value: unknown, expected: string) =>
  UserError.of("setting.invalid", { setting, value: value === "" ? "empty" : JSON.stringify(value), expected });

/** Text of this form; an empty variable is an error, too. */
const textThat = (fits: (text: string) => boolean, expected: string): Parser<string> =>
  Object.assign(
    (raw: unknown, name: string): string => {
      const text = str(raw, name).trim();
      if (!fits(text)) throw invalid(name, text, expected);
      return text;
    },
    { takesEmpty: true },
  );

const filled = (what: string) => textThat((text) => text !== "", what);

const httpUrl = textThat((text) => {
  const url = URL.parse(text);
  return url !== null && /^https?:$/.test(url.protocol) && url.hostname !== "";
}, "an absolute URL such as http://kuma-control-plane.kuma-system:5682");

/** Kept as text: it is passed on to kuma-dp, which reads it itself. */
const duration = textThat((text) => {
  try {
    return parseDuration(text) >= 1;
  } catch (error) {
    if (error instanceof UserError) return false;
    throw error;
  }
}, "a duration longer than nothing, such as 30s");

const quantity = textThat((text) => (parseQuantity(text) ?? -1) >= 0, "a Kubernetes quantity such as 50m or 64Mi");

const addressOrNone: Parser<string> = (raw, name) => (raw === "" ? "" : ipAddress(raw, name));

type Native = "auto" | boolean;

const native: Parser<Native> = (raw, name) => {
  if (raw === "auto") return raw;
  try {
    return bool(raw, name);
  } catch (error) {
    if (error instanceof UserError) throw invalid(name, raw, "auto, true or false");
    throw error;
  }
};

function setting<T>(path: string, env: string | readonly string[], preset: T, parse: Parser<T>, sentence: string) {
  const names = typeof env === "string" ? [env] : env;
  const variables = names.map((name) => `KUMA_INJECTOR_${name}`);
  return { path, env: variables, default: preset, parse, sentence } satisfies Setting<T>;
}

const sidecar = <T>(path: string, env: string | readonly string[], preset: T, parse: Parser<T>, sentence: string) =>
  setting(
    `injector.sidecarContainer.${path}`,
    [env].flat().map((name) => `SIDECAR_CONTAINER_${name}`),
    preset,
    parse,
    sentence,
  );

const atLeastOne = int(1, 2 ** 31 - 1);
const sidecarPort = int(1, 65_535);

const readiness = (field: string, env: string, preset: number, sentence: string) =>
  sidecar(`readinessProbe.${field}`, `READINESS_PROBE_${env}`, preset, atLeastOne, sentence);
const liveness = (field: string, env: string, preset: number, sentence: string) =>
  sidecar(`livenessProbe.${field}`, `LIVENESS_PROBE_${env}`, preset, atLeastOne, sentence);
const resource = (field: string, env: string, preset: string, sentence: string) =>
  sidecar(`resources.${field}`, `RESOURCES_${env}`, preset, quantity, sentence);

/** Every setting of kuma-injector, in display order. */
export const table = {
  address: setting(
    "webHookServer.address",
    "WEBHOOK_SERVER_ADDRESS",
    "",
    addressOrNone,
    "IP address that the webhook listens on; empty means all.",
  ),
  port: setting("webHookServer.port", "WEBHOOK_SERVER_PORT", 8443, port, "Port of the webhook."),
  certDir: setting(
    "webHookServer.certDir",
    "WEBHOOK_SERVER_CERT_DIR",
    "",
    filled("a directory with tls.crt and tls.key"),
    "Directory with the webhook's certificate, tls.crt, and its key, tls.key, in PEM; required. Changed files are taken up within seconds.",
  ),
  shutdownDelay: {
    ...setting(
      "webHookServer.shutdownDelay",
      "WEBHOOK_SERVER_SHUTDOWN_DELAY",
      5_000,
      durationSetting(),
      "How long the webhook goes on to serve after SIGTERM, until every API server knows that this pod is leaving.",
    ),
    show: (milliseconds: number) => `${milliseconds / 1000}s`,
  },
  bootstrapServerUrl: setting(
    "injector.controlPlane.bootstrapServer.url",
    "CONTROL_PLANE_BOOTSTRAP_SERVER_URL",
    "http://kuma-control-plane.kuma-system:5682",
    httpUrl,
    "URL by which sidecars reach the control plane's bootstrap server.",
  ),
  apiServerUrl: setting(
    "injector.controlPlane.apiServer.url",
    "CONTROL_PLANE_API_SERVER_URL",
    "http://kuma-control-plane.kuma-system:5681",
    httpUrl,
    "URL by which sidecars reach the control plane's HTTP API.",
  ),
  nativeSidecar: setting<Native>(
    "injector.nativeSidecar",
    "NATIVE_SIDECAR",
    "auto",
    native,
    "Whether the sidecar is an init container that keeps running, which takes Kubernetes 1.29: true, false, or auto, by the version of the API server.",
  ),
  apiCredentialsDir: setting(
    "injector.apiCredentialsDir",
    "API_CREDENTIALS_DIR",
    "/var/run/secrets/kubernetes.io/serviceaccount",
    filled("a directory with ca.crt"),
    "Directory with the certificate of the API server's authority, ca.crt, and if it is there a token, with which the API server is asked for its version.",
  ),
  image: sidecar("image", "IMAGE", "kuma/kuma-dp:latest", filled("an image"), "Image of kuma-dp."),
  redirectPort: sidecar(
    "redirectPort",
    "REDIRECT_PORT",
    15_001,
    sidecarPort,
    "Port of Envoy that the connections of a pod are redirected to.",
  ),
  uid: sidecar(
    "uid",
    "UID",
    5678,
    atLeastOne,
    "User that the sidecar runs as; connections of this user are not redirected.",
  ),
  gid: sidecar(
    "gid",
    // The second is the name in Kuma, misspelt.
    ["GID", "GUI"],
    5678,
    atLeastOne,
    "Group that the sidecar runs as; connections of this group are not redirected.",
  ),
  adminPort: sidecar(
    "adminPort",
    "ADMIN_PORT",
    9901,
    port,
    "Port of Envoy's admin interface on the pod's loopback; 0 for a Unix socket that only the sidecar has.",
  ),
  healthPort: sidecar("healthPort", "HEALTH_PORT", 9902, sidecarPort, "Port of kuma-dp that kubelet probes."),
  drainTime: sidecar(
    "drainTime",
    "DRAIN_TIME",
    "30s",
    duration,
    "How long a sidecar that ends waits for open connections.",
  ),
  readinessInitialDelay: readiness(
    "initialDelaySeconds",
    "INITIAL_DELAY_SECONDS",
    1,
    "Seconds before the first readiness probe, and for native sidecars the first startup probe.",
  ),
  readinessTimeout: readiness("timeoutSeconds", "TIMEOUT_SECONDS", 3, "Seconds that a readiness probe may take."),
  readinessPeriod: readiness("periodSeconds", "PERIOD_SECONDS", 5, "Seconds from one readiness probe to the next."),
  readinessSuccesses: readiness(
    "successThreshold",
    "SUCCESS_THRESHOLD",
    1,
    "Successful probes in a row after which a sidecar is ready.",
  ),
  readinessFailures: readiness(
    "failureThreshold",
    "FAILURE_THRESHOLD",
    12,
    "Failed probes in a row after which a sidecar is not ready.",
  ),
  livenessInitialDelay: liveness(
    "initialDelaySeconds",
    "INITIAL_DELAY_SECONDS",
    60,
    "Seconds before the first liveness probe.",
  ),
  livenessTimeout: liveness("timeoutSeconds", "TIMEOUT_SECONDS", 3, "Seconds that a liveness probe may take."),
  livenessPeriod: liveness("periodSeconds", "PERIOD_SECONDS", 5, "Seconds from one liveness probe to the next."),
  livenessFailures: liveness(
    "failureThreshold",
    "FAILURE_THRESHOLD",
    12,
    "Failed probes in a row after which a sidecar is restarted.",
  ),
  cpuRequest: resource("requests.cpu", "REQUESTS_CPU", "50m", "CPU that is reserved for a sidecar."),
  memoryRequest: resource("requests.memory", "REQUESTS_MEMORY", "64Mi", "Memory that is reserved for a sidecar."),
  cpuLimit: resource("limits.cpu", "LIMITS_CPU", "1000m", "CPU that a sidecar may use."),
  memoryLimit: resource("limits.memory", "LIMITS_MEMORY", "512Mi", "Memory that a sidecar may use."),
  initImage: setting(
    "injector.initContainer.image",
    "INIT_CONTAINER_IMAGE",
    "kuma/kuma-init:latest",
    filled("an image"),
    "Image of kuma-init, which redirects a pod's connections.",
  ),
} satisfies SettingsTable;

type TableValues = Values<typeof table>;

/** The values of a program that was told nothing. */
export const defaults: TableValues = resolveSettings(table, { env: {} }).values;

/** The resolved settings. */
export interface Settings {
  /** Undefined: all addresses. */
  readonly address: string | undefined;
  readonly port: number;
  readonly certDir: string;
  /** Milliseconds. */
  readonly shutdownDelay: number;
  readonly nativeSidecar: Native;
  readonly apiCredentialsDir: string;
  readonly injection: Omit<InjectionOptions, "nativeSidecar">;
}

export interface ReadSettings {
  readonly settings: Settings;
  readonly values: TableValues;
  readonly origins: Resolved<typeof table>["origins"];
  readonly warnings: readonly string[];
}

/** Settings that are valid on their own and contradict each other: the API server would refuse every pod. */
function contradictions(values: TableValues): string[] {
  const problems: string[] = [];
  for (const [request, limit] of [
    ["cpuRequest", "cpuLimit"],
    ["memoryRequest", "memoryLimit"],
  ] as const) {
    if ((parseQuantity(values[request]) ?? 0) <= (parseQuantity(values[limit]) ?? 0)) continue;
    problems.push(
      `${table[request].path} is ${values[request]}, but has to be at most ${table[limit].path}, ${values[limit]}`,
    );
  }
  const ports = (["redirectPort", "adminPort", "healthPort"] as const).filter((key) => values[key] !== 0);
  for (const [index, key] of ports.entries()) {
    const other = ports.slice(0, index).find((earlier) => values[earlier] === values[key]);
    if (other === undefined) continue;
    problems.push(`${table[key].path} is ${values[key]}, like ${table[other].path}, but has to be another port`);
  }
  return problems;
}

/**
 * Reads the settings: flags come before the environment, and that before the file.
 * @throws UserError `settings.invalid` with all problems, `config-file.unparsable` for invalid YAML
 */
export function readSettings(sources: {
  readonly file: ConfigFile | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly flags: Readonly<Partial<Record<keyof typeof table, unknown>>>;
}): ReadSettings {
  const { file, env, flags } = sources;
  const document = file && { file: { path: file.path, document: parseConfigFile(file) } };
  const given = { ...document, env, flags };
  const { values, origins, warnings } = resolveSettings(table, given);
  // It has no default. When it is missing, it is rejected like an empty one.
  const missing =
    values.certDir === ""
      ? [`${table.certDir.path} is missing; it has to name a directory with tls.crt and tls.key`]
      : [];
  const problems = [...missing, ...contradictions(values)];
  if (problems.length > 0) throw UserError.of("settings.invalid", { problems: problems.join("; ") });
  return { settings: settingsOf(values), values, origins, warnings };
}

function settingsOf(values: TableValues): Settings {
  return {
    address: values.address === "" ? undefined : values.address,
    port: values.port,
    certDir: values.certDir,
    shutdownDelay: values.shutdownDelay,
    nativeSidecar: values.nativeSidecar,
    apiCredentialsDir: values.apiCredentialsDir,
    injection: {
      bootstrapServerUrl: values.bootstrapServerUrl,
      apiServerUrl: values.apiServerUrl,
      sidecar: {
        image: values.image,
        redirectPort: values.redirectPort,
        uid: values.uid,
        gid: values.gid,
        adminPort: values.adminPort,
        healthPort: values.healthPort,
        drainTime: values.drainTime,
        readinessProbe: {
          initialDelaySeconds: values.readinessInitialDelay,
          timeoutSeconds: values.readinessTimeout,
          periodSeconds: values.readinessPeriod,
          successThreshold: values.readinessSuccesses,
          failureThreshold: values.readinessFailures,
        },
        livenessProbe: {
          initialDelaySeconds: values.livenessInitialDelay,
          timeoutSeconds: values.livenessTimeout,
          periodSeconds: values.livenessPeriod,
          failureThreshold: values.livenessFailures,
        },
        resources: {
          requests: { cpu: values.cpuRequest, memory: values.memoryRequest },
          limits: { cpu: values.cpuLimit, memory: values.memoryLimit },
        },
      },
      initContainer: { image: values.initImage },
    },
  };
}
