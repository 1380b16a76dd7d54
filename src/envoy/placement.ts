import { defaultLogDirectories, logDirectoryProblem, mostLogDirectories } from "../lib/log-directories.js";

/** Where a proxy finds and puts files, on its own machine, as it says itself. */
export interface Placement {
  /** Of its dataplane token, when it has one. */
  readonly tokenPath: string | undefined;
  /** Where Envoy may write log files besides its working directory: absolute, normalised, sorted. */
  readonly logDirectories: readonly string[];
  /** Equal for equal placements, and for no others. */
  readonly key: string;
}

interface Said {
  readonly tokenPath?: string | undefined;
  readonly logDirectories?: readonly string[] | undefined;
}

/** The placement of a proxy that says this; what is no directory for logs is left out. */
export function createPlacement({ tokenPath, logDirectories = defaultLogDirectories }: Said): Placement {
  const usable = logDirectories.slice(0, mostLogDirectories).filter((one) => logDirectoryProblem(one) === undefined);
  const sorted = [...new Set(usable)].sort();
  return { tokenPath, logDirectories: sorted, key: JSON.stringify([tokenPath ?? null, sorted]) };
}

/** Of a proxy that says nothing. */
export const defaultPlacement = createPlacement({});
