import { connect } from "node:net";
import { messageOf } from "../lib/errors.js";
import { hostPort, isLoopback } from "../lib/host.js";

/** The xDS server in a bootstrap. */
export interface XdsServer {
  readonly host: string;
  readonly port: number;
  /** True when the control plane took the host from our own request, because its advertised hostname is not set. */
  readonly hostFromRequest: boolean;
}

const patienceMs = 5_000;
const setting = "KUMA_GENERAL_ADVERTISED_HOSTNAME";

/** Why the server can't be connected to; undefined when it can. */
function connectionError({ host, port }: XdsServer, signal: AbortSignal): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: patienceMs });
    const end = (reason?: string) => {
      signal.removeEventListener("abort", aborted);
      socket.destroy();
      resolve(reason);
    };
    const aborted = () => end();
    signal.addEventListener("abort", aborted);
    socket.unref();
    socket.once("connect", () => end());
    socket.once("timeout", () => end(`no answer in ${patienceMs / 1000} s`));
    socket.once("error", (error) => end(messageOf(error)));
  });
}

/** A warning about an xDS server that is wrong in any case; undefined when there is none. */
export function loopbackWarning({ host }: XdsServer, controlPlane: string): string | undefined {
  const asked = new URL(controlPlane).hostname;
  if (isLoopback(asked) || !isLoopback(host)) return undefined;
  return (
    `the control plane at ${controlPlane} advertises the host "${host}", which is this machine: Envoy can't reach it ` +
    `there. Set ${setting} of kuma-cp to a name or address by which this machine reaches it`
  );
}

/**
 * Connects to the server once. Resolves with a warning when it can't be reached, because Envoy reports that only in its
 * own log.
 */
export async function connectionWarning(server: XdsServer, signal: AbortSignal): Promise<string | undefined> {
  const reason = await connectionError(server, signal);
  if (reason === undefined) return undefined;
  const why = server.hostFromRequest
    ? ` The host is that of kuma-dp's control plane URL, because ${setting} of kuma-cp is its default, localhost: set it ` +
      "if the xDS server has another host"
    : "";
  return `the xDS server of the control plane can't be reached at ${hostPort(server.host, server.port)}: ${reason}. Envoy keeps retrying.${why}`;
}
