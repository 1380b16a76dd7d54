import type { Cause } from "../../lib/errors.js";
import { isJsonObject } from "../../lib/json.js";
import { logDirectoryProblem, mostLogDirectories } from "../../lib/log-directories.js";

/** The body of `POST /bootstrap`. */
export interface BootstrapRequest {
  readonly mesh: string;
  readonly name: string;
  /** 0 or absent = the control plane's default. */
  readonly adminPort?: number;
  readonly dataplaneTokenPath?: string;
  /** Directories for log files on the proxy's machine; absent in requests of an earlier kuma-dp. */
  readonly logDirectories?: readonly string[];
}

export type ParsedRequest =
  | { readonly kind: "request"; readonly request: BootstrapRequest }
  | { readonly kind: "malformed"; readonly reason: string }
  | { readonly kind: "invalid"; readonly causes: readonly Cause[] };

/** Unknown fields are ignored: a newer kuma-dp may send them. */
export function parseBootstrapRequest(body: Buffer): ParsedRequest {
  let value: unknown;
  try {
    value = JSON.parse(body.toString());
  } catch (error) {
    return { kind: "malformed", reason: error instanceof Error ? error.message : String(error) };
  }
  if (!isJsonObject(value)) {
    return { kind: "malformed", reason: 'expected an object such as {"mesh": "default", "name": "backend-1"}' };
  }
  const { mesh, name, adminPort, dataplaneTokenPath, logDirectories } = value;
  const causes: Cause[] = [];
  if (!filled(mesh)) causes.push({ field: "mesh", message: required(mesh) });
  if (!filled(name)) causes.push({ field: "name", message: required(name) });
  if (present(adminPort) && !isPort(adminPort))
    causes.push({ field: "adminPort", message: "has to be a port, 0 to 65535" });
  if (present(dataplaneTokenPath) && typeof dataplaneTokenPath !== "string") {
    causes.push({ field: "dataplaneTokenPath", message: "has to be text" });
  }
  if (present(logDirectories)) causes.push(...directoryCauses(logDirectories));
  if (causes.length > 0 || !filled(mesh) || !filled(name)) return { kind: "invalid", causes };
  return {
    kind: "request",
    request: {
      mesh,
      name,
      ...(isPort(adminPort) && adminPort !== 0 ? { adminPort } : {}),
      ...(filled(dataplaneTokenPath) ? { dataplaneTokenPath } : {}),
      ...(Array.isArray(logDirectories) ? { logDirectories } : {}),
    },
  };
}

function directoryCauses(value: unknown): Cause[] {
  const field = "logDirectories";
  if (!Array.isArray(value)) return [{ field, message: "has to be a list of absolute paths" }];
  if (value.length > mostLogDirectories)
    return [{ field, message: `can hold ${mostLogDirectories} directories at most` }];
  return value.flatMap((directory: unknown, index) => {
    const problem = typeof directory === "string" ? logDirectoryProblem(directory) : "has to be text";
    return problem === undefined ? [] : [{ field: `${field}[${index}]`, message: problem }];
  });
}

const present = (value: unknown) => value !== undefined && value !== null;
const filled = (value: unknown): value is string => typeof value === "string" && value !== "";
const isPort = (value: unknown): value is number =>
  Number.isInteger(value) && Number(value) >= 0 && Number(value) <= 65_535;
const required = (value: unknown) =>
  present(value) && typeof value !== "string" ? "has to be text" : "cannot be empty";
