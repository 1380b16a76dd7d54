import { create } from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import { type AccessLog, AccessLogSchema } from "../../proto-gen/es/envoy/config/accesslog/v3/accesslog_pb.js";
import { FileAccessLogSchema } from "../../proto-gen/es/envoy/extensions/access_loggers/file/v3/file_pb.js";
import { accessLogFifo } from "../lib/config-dir-files.js";
import { parseLogFormat } from "../resources/log-format.js";
import type { kumaOperators } from "../resources/log-operators.js";
import type { LoggingBackend } from "../resources/mesh.js";

/** Facts about a connection for its log line that Envoy does not know. */
export interface LoggedTraffic {
  /** IP address of the dataplane that logs. */
  readonly sourceAddress: string;
  readonly sourceService: string;
  readonly destinationService: string;
}

/** The log format of backends that set none. */
export const defaultLogFormat =
  "[%START_TIME%] %KUMA_SOURCE_ADDRESS%(%KUMA_SOURCE_SERVICE%)->%UPSTREAM_HOST%(%KUMA_DESTINATION_SERVICE%) " +
  "took %DURATION%ms, sent %BYTES_SENT% bytes, received: %BYTES_RECEIVED% bytes\n";

type KumaOperator = (typeof kumaOperators)[number];

const values: Readonly<Record<KumaOperator, (traffic: LoggedTraffic) => string>> = {
  // The source port is not known in advance; 0 is its placeholder in the line.
  KUMA_SOURCE_ADDRESS: ({ sourceAddress }) => `${sourceAddress}:0`,
  KUMA_SOURCE_ADDRESS_WITHOUT_PORT: ({ sourceAddress }) => sourceAddress,
  KUMA_SOURCE_SERVICE: ({ sourceService }) => sourceService,
  KUMA_DESTINATION_SERVICE: ({ destinationService }) => destinationService,
};

const isKumaOperator = (name: string): name is KumaOperator => Object.hasOwn(values, name);

/**
 * Converts a backend's format to Envoy's: replaces the operators that only the control plane knows, and appends a line
 * break if there is none. Undefined for a format that Envoy would reject.
 */
export function envoyLogFormat(format: string, traffic: LoggedTraffic): string | undefined {
  const parts = parseLogFormat(format === "" ? defaultLogFormat : format);
  if ("message" in parts) return undefined;
  const text = parts
    .map((part) => {
      if (part.kind === "text" || !isKumaOperator(part.name)) return part.text;
      return values[part.name](traffic).replaceAll("%", "%%");
    })
    .join("");
  return text.endsWith("\n") ? text : `${text}\n`;
}

/** Prefixes every line with the collector's address: kuma-dp forwards them line by line. */
function addressed(address: string, format: string): string {
  return format
    .slice(0, -1)
    .split("\n")
    .map((line) => `${address};${line}\n`)
    .join("");
}

function target({ file, tcp }: LoggingBackend, format: string): { path: string; format: string } | undefined {
  if (tcp?.address !== undefined) return { path: accessLogFifo, format: addressed(tcp.address, format) };
  return file?.path === undefined ? undefined : { path: file.path, format };
}

/** The Envoy access log for a backend of the mesh; undefined when Envoy would reject it. */
export function accessLog(backend: LoggingBackend, traffic: LoggedTraffic): AccessLog | undefined {
  const format = envoyLogFormat(backend.format ?? "", traffic);
  const log = format === undefined ? undefined : target(backend, format);
  if (log === undefined) return undefined;
  const file = create(FileAccessLogSchema, {
    path: log.path,
    accessLogFormat: {
      case: "logFormat",
      value: {
        format: { case: "textFormatSource", value: { specifier: { case: "inlineString", value: log.format } } },
      },
    },
  });
  return create(AccessLogSchema, {
    name: "envoy.access_loggers.file",
    configType: { case: "typedConfig", value: anyPack(FileAccessLogSchema, file) },
  });
}

const usable = new WeakMap<LoggingBackend, boolean>();

/** Whether Envoy accepts a backend. The API validates this, but another version may have stored the backend. */
export function isUsable(backend: LoggingBackend): boolean {
  let answer = usable.get(backend);
  if (answer === undefined) {
    const traffic = { sourceAddress: "", sourceService: "", destinationService: "" };
    answer = accessLog(backend, traffic) !== undefined;
    usable.set(backend, answer);
  }
  return answer;
}

/** The backends that connections are logged to, and the facts that only the control plane knows. */
export interface Logging {
  readonly backends: readonly LoggingBackend[];
  readonly traffic: LoggedTraffic;
}

export const accessLogs = ({ backends, traffic }: Logging): AccessLog[] =>
  backends.map((backend) => accessLog(backend, traffic)).filter((log) => log !== undefined);
