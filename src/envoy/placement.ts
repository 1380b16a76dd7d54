import { connectableHost } from "../lib/host.js";
import { defaultLogDirectories, logDirectoryProblem, mostLogDirectories } from "../lib/log-directories.js";

/**
 * The revision of the bootstrap configuration that this release serves. Releases generate different listeners and
 * clusters for the same Dataplane, and upgrading the control plane must not affect a running Envoy: Envoy closes, after
 * the drain time, the connections of a listener whose filter chain changes, rejects a listener whose socket options
 * change, and fetches the secrets of changed TLS contexts again. A release that generates something else for the same
 * resources therefore increments the revision, and sends its changes only to Envoys that were started with it. Other
 * Envoys keep their configuration until their kuma-dp is reloaded or restarted, which fetches a new bootstrap.
 *
 * - 0: releases without a revision.
 * - 1: no idle timeout, circuit breakers at their maximum, TCP keepalive, half a second of waiting for secrets, pings of
 *   the secret server, outlier ejections immediately and only as HealthChecks configure them.
 */
export const bootstrapRevision = 1;

/** Facts about a proxy and its machine. Its bootstrap puts them into the node metadata. */
export interface Placement {
  /** Path of its dataplane token, if it has one. */
  readonly tokenPath: string | undefined;
  /**
   * The host at which it reaches the control plane, if its bootstrap had to choose one. A proxy that lies about it only
   * directs its own Envoy to a server that can't present the certificate which the Envoy verifies.
   */
  readonly controlPlaneHost: string | undefined;
  /** Directories that Envoy may write log files to, besides its working directory: absolute, normalised, sorted. */
  readonly logDirectories: readonly string[];
  /** The revision of its bootstrap, at most that of this release: an integer from 0 to `bootstrapRevision`. */
  readonly bootstrapRevision: number;
  /** Equal for equal placements, and only for those. */
  readonly key: string;
}

interface PlacementMetadata {
  readonly tokenPath?: string | undefined;
  readonly controlPlaneHost?: string | undefined;
  readonly logDirectories?: readonly string[] | undefined;
  readonly bootstrapRevision?: number | undefined;
}

/** Peers may send any number. The revision of a newer release includes ours. */
const knownRevision = (revision: number): number =>
  Number.isNaN(revision) ? 0 : Math.floor(Math.max(0, Math.min(revision, bootstrapRevision)));

/** Creates the placement from a proxy's metadata. Invalid hosts and log directories are left out. */
export function createPlacement(metadata: PlacementMetadata): Placement {
  const { tokenPath, logDirectories = defaultLogDirectories } = metadata;
  const controlPlaneHost = connectableHost(metadata.controlPlaneHost ?? "");
  const usable = logDirectories.slice(0, mostLogDirectories).filter((one) => logDirectoryProblem(one) === undefined);
  const sorted = [...new Set(usable)].sort();
  const revision = knownRevision(metadata.bootstrapRevision ?? 0);
  const key = JSON.stringify([tokenPath ?? null, controlPlaneHost ?? null, sorted, revision]);
  return { tokenPath, controlPlaneHost, logDirectories: sorted, bootstrapRevision: revision, key };
}

/** The placement of a proxy without metadata. */
export const defaultPlacement = createPlacement({});
