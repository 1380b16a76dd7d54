import { create } from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import { type AccessLog, AccessLogSchema } from "../../proto-gen/es/envoy/config/accesslog/v3/accesslog_pb.js";
import { FileAccessLogSchema } from "../../proto-gen/es/envoy/extensions/access_loggers/file/v3/file_pb.js";
import { accessLogFifo } from "../lib/config-dir-files.js";
import { parseLogFormat } from "../resources/log-format.js";
import type { kumaOperators } from "../resources/log-operators.js";
import type { LoggingBackend } from "../resources/mesh.js";

/** What a line says of a connection that Envoy can't know. */
export interface LoggedTraffic {
  /** IP address of the dataplane that logs. */
  readonly sourceAddress: string;
  readonly sourceService: string;
  readonly destinationService: string;
}

/** The line that is logged when a backend says nothing else. */
export const defaultLogFormat =
  "[%START_TIME%] %KUMA_SOURCE_ADDRESS%(%KUMA_SOURCE_SERVICE%)->%UPSTREAM_HOST%(%KUMA_DESTINATION_SERVICE%) " +
  "took %DURATION%ms, sent %BYTES_SENT% bytes, received: %BYTES_RECEIVED% bytes\n";

type KumaOperator = (typeof kumaOperators)[number];

const values: Readonly<Record<KumaOperator, (traffic: LoggedTraffic) => string>> = {
  // Which port a connection comes from is not known before it does; the place of one is kept in the line.
  KUMA_SOURCE_ADDRESS: ({ sourceAddress }) => `${sourceAddress}:0`,
  KUMA_SOURCE_ADDRESS_WITHOUT_PORT: ({ sourceAddress }) => sourceAddress,
  KUMA_SOURCE_SERVICE: ({ sourceService }) => sourceService,
  KUMA_DESTINATION_SERVICE: ({ destinationService }) => destinationService,
};

const isKumaOperator = (name: string): name is KumaOperator => Object.hasOwn(values, name);

/**
 * A backend's format as Envoy gets it: what only the control plane knows filled in, and a line break at its end unless
 * there is one. Undefined for a format that Envoy would refuse.
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

/** Puts the collector's address before every line: kuma-dp reads one by one what it forwards. */
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

/** What has Envoy log connections to a backend of the mesh; undefined when it would be refused. */
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

/** Whether Envoy takes what is made of a backend; the API's door sees to that, but another version may have stored it. */
export function isUsable(backend: LoggingBackend): boolean {
  let answer = usable.get(backend);
  if (answer === undefined) {
    const traffic = { sourceAddress: "", sourceService: "", destinationService: "" };
    answer = accessLog(backend, traffic) !== undefined;
    usable.set(backend, answer);
  }
  return answer;
}

/** Where connections are logged to, and what only the control plane knows of them. */
export interface Logging {
  readonly backends: readonly LoggingBackend[];
  readonly traffic: LoggedTraffic;
}

export const accessLogs = ({ backends, traffic }: Logging): AccessLog[] =>
  backends.map((backend) => accessLog(backend, traffic)).filter((log) => log !== undefined);
