import { isIP } from "node:net";
import { messageOf, UserError } from "../lib/errors.js";
import { isJsonObject } from "../lib/json.js";
import { files } from "./config-dir.js";
import type { XdsServer } from "./xds-server.js";

/** Where Envoy's admin interface listens. */
export type AdminAddress =
  | { readonly kind: "socket"; readonly path: string }
  | { readonly kind: "tcp"; readonly host: string; readonly port: number };

export interface PreparedBootstrap {
  /** The configuration that Envoy is started with. */
  readonly yaml: string;
  /** Undefined when the control plane chose an address that we cannot parse. Envoy is then not drained. */
  readonly admin: AdminAddress | undefined;
  /** Undefined when its format is unknown. */
  readonly xds: XdsServer | undefined;
}

function field(value: unknown, ...spellings: string[]): unknown {
  if (!isJsonObject(value)) return undefined;
  return spellings.map((name) => value[name]).find((found) => found !== undefined);
}

/** The address to connect to for a listening address: unspecified addresses are reached over loopback. */
function reachable(host: string): string {
  if (host === "0.0.0.0") return "127.0.0.1";
  return isIP(host) === 6 && /^[0:]+$/.test(host) ? "::1" : host;
}

function readAdmin(admin: unknown): AdminAddress | undefined {
  const address = field(admin, "address");
  const path = field(field(address, "pipe"), "path");
  if (typeof path === "string") return { kind: "socket", path };
  const socket = field(address, "socketAddress", "socket_address");
  const host = field(socket, "address");
  const port = field(socket, "portValue", "port_value");
  return typeof host === "string" && typeof port === "number"
    ? { kind: "tcp", host: reachable(host), port }
    : undefined;
}

function readXds(document: unknown): XdsServer | undefined {
  const resources = field(document, "staticResources", "static_resources");
  const clusters = field(resources, "clusters");
  const cluster = Array.isArray(clusters) ? clusters.find((one) => field(one, "name") === "ads_cluster") : undefined;
  const first = (value: unknown) => (Array.isArray(value) ? (value[0] as unknown) : undefined);
  const locality = first(field(field(cluster, "loadAssignment", "load_assignment"), "endpoints"));
  const endpoint = field(first(field(locality, "lbEndpoints", "lb_endpoints")), "endpoint");
  const socket = field(field(endpoint, "address"), "socketAddress", "socket_address");
  const host = field(socket, "address");
  const port = field(socket, "portValue", "port_value");
  if (typeof host !== "string" || typeof port !== "number" || !(port >= 0 && port <= 65_535)) return undefined;
  return {
    host,
    port,
    hostFromRequest: field(field(field(document, "node"), "metadata"), "controlPlaneHost") === host,
  };
}

/** A bootstrap from before the v3 API does not name an API version. */
function refuseOldControlPlane(document: unknown): void {
  const ads = field(field(document, "dynamicResources", "dynamic_resources"), "adsConfig", "ads_config");
  const version = field(ads, "transportApiVersion", "transport_api_version");
  if (ads === undefined || version === "V3") return;
  throw UserError.of("bootstrap.old");
}

/**
 * Validates the control plane's answer and ensures that Envoy has an admin interface, which draining and readiness
 * need: when the bootstrap has none, one is added on a Unix socket in the config dir. A bootstrap that has one is
 * passed on byte for byte.
 * @throws UserError `bootstrap.not-yaml` or `bootstrap.malformed` unless the text is a YAML mapping, and
 * `bootstrap.old` when it is one for xDS v2
 */
export async function prepareBootstrap(text: string): Promise<PreparedBootstrap> {
  const { dump, load } = await import("js-yaml");
  let document: unknown;
  try {
    document = load(text);
  } catch (error) {
    // The parser's message includes an excerpt of the text.
    const problem = messageOf(error).split("\n", 1)[0] ?? "";
    throw UserError.of("bootstrap.not-yaml", { problem }, { cause: error });
  }
  if (!isJsonObject(document)) {
    throw UserError.of("bootstrap.malformed");
  }
  refuseOldControlPlane(document);
  const present = field(document, "admin");
  const xds = readXds(document);
  if (present !== undefined && present !== null) return { yaml: text, admin: readAdmin(present), xds };
  const admin = { address: { pipe: { path: files.adminSocket, mode: 0o600 } } };
  const yaml = dump({ ...document, admin }, { lineWidth: -1 });
  return { yaml, admin: { kind: "socket", path: files.adminSocket }, xds };
}
