import { connectableHost } from "../lib/host.js";
import { defaultLogDirectories, logDirectoryProblem, mostLogDirectories } from "../lib/log-directories.js";

/**
 * The revision of the bootstrap document that this release hands out. Releases generate different listeners and clusters
 * for one Dataplane, and an Envoy that runs must not notice when its control plane is upgraded: it closes, after the
 * drain time, the connections of a listener whose filter chain changes, refuses a listener whose socket options change,
 * and fetches the secrets of changed TLS contexts anew. So a release that generates something else for the same
 * resources takes the next revision, and sends what it changed to Envoys that were started with it; others keep what
 * they have until their kuma-dp is reloaded or restarted, which fetches a new bootstrap.
 *
 * - 0: the releases that say none.
 * - 1: no idle timeout, circuit breakers at their maximum, TCP keepalive, secrets that are waited for half a second
 *   only, pings of the server that sends them, ejections only and at once as HealthChecks say.
 */
export const bootstrapRevision = 1;

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
  /** The revision of its bootstrap as far as this release knows them: an integer from 0 to `bootstrapRevision`. */
  readonly bootstrapRevision: number;
  /** Equal for equal placements, and for no others. */
  readonly key: string;
}

interface Said {
  readonly tokenPath?: string | undefined;
  readonly controlPlaneHost?: string | undefined;
  readonly logDirectories?: readonly string[] | undefined;
  readonly bootstrapRevision?: number | undefined;
}

/** Peers say any number; a newer release's revision includes what is known of ours. */
const knownRevision = (said: number): number =>
  Number.isNaN(said) ? 0 : Math.floor(Math.max(0, Math.min(said, bootstrapRevision)));

/** The placement of a proxy that says this; what is no host, or no directory for logs, is left out. */
export function createPlacement(said: Said): Placement {
  const { tokenPath, logDirectories = defaultLogDirectories } = said;
  const controlPlaneHost = connectableHost(said.controlPlaneHost ?? "");
  const usable = logDirectories.slice(0, mostLogDirectories).filter((one) => logDirectoryProblem(one) === undefined);
  const sorted = [...new Set(usable)].sort();
  const revision = knownRevision(said.bootstrapRevision ?? 0);
  const key = JSON.stringify([tokenPath ?? null, controlPlaneHost ?? null, sorted, revision]);
  return { tokenPath, controlPlaneHost, logDirectories: sorted, bootstrapRevision: revision, key };
}

/** Of a proxy that says nothing. */
export const defaultPlacement = createPlacement({});
