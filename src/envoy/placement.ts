import { connectableHost } from "../lib/host.js";
import { defaultLogDirectories, logDirectoryProblem, mostLogDirectories } from "../lib/log-directories.js";

/** What a proxy says about itself and its machine, beside its name: its bootstrap has put it into the node's metadata. */
export interface Placement {
  /** Where its dataplane token is, when it has one. */
  readonly tokenPath: string | undefined;
  /**
   * The host by which it reaches the control plane, when its bootstrap had to choose one. A proxy that lies about it
   * sends its own Envoy to a server that can't present the certificate which the Envoy verifies.
   */
  readonly controlPlaneHost: string | undefined;
  /** Where Envoy may write log files besides its working directory: absolute, normalised, sorted. */
  readonly logDirectories: readonly string[];
  /**
   * Whether its listeners have TCP keepalive. Envoy cannot change a socket option of a listener that listens: it refuses
   * the update, and with it every later change of permissions. So only Envoys get it whose bootstrap has said so.
   */
  readonly tcpKeepalive: boolean;
  /**
   * Whether it waits for secrets for a moment only (see `secretPatienceMs`), and pings the server that sends them. An
   * Envoy that was started by an older release has other TLS contexts, and asks for its secrets anew when they change:
   * those who all ask at once, after an upgrade of the control plane, would be closed until they have them. It keeps
   * what it has until it is restarted.
   */
  readonly promptTls: boolean;
  /** Equal for equal placements, and for no others. */
  readonly key: string;
}

interface Said {
  readonly tokenPath?: string | undefined;
  readonly controlPlaneHost?: string | undefined;
  readonly logDirectories?: readonly string[] | undefined;
  readonly tcpKeepalive?: boolean | undefined;
  readonly promptTls?: boolean | undefined;
}

/** The placement of a proxy that says this; what is no host, or no directory for logs, is left out. */
export function createPlacement(said: Said): Placement {
  const { tokenPath, logDirectories = defaultLogDirectories, tcpKeepalive = false, promptTls = false } = said;
  const controlPlaneHost = connectableHost(said.controlPlaneHost ?? "");
  const usable = logDirectories.slice(0, mostLogDirectories).filter((one) => logDirectoryProblem(one) === undefined);
  const sorted = [...new Set(usable)].sort();
  const key = JSON.stringify([tokenPath ?? null, controlPlaneHost ?? null, sorted, tcpKeepalive, promptTls]);
  return { tokenPath, controlPlaneHost, logDirectories: sorted, tcpKeepalive, promptTls, key };
}

/** Of a proxy that says nothing. */
export const defaultPlacement = createPlacement({});
