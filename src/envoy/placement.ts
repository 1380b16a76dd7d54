import { connectableHost } from "../lib/host.js";

/** Where a proxy finds what its configuration refers to, as it says itself. */
export interface Placement {
  /** Of its dataplane token, on its own machine, when it has one. */
  readonly tokenPath: string | undefined;
  /** The host by which it reaches the control plane; undefined when it has none of its own. */
  readonly controlPlaneHost: string | undefined;
  /** Equal for equal placements, and for no others. */
  readonly key: string;
}

interface Said {
  readonly tokenPath?: string | undefined;
  readonly controlPlaneHost?: string | undefined;
}

/** The placement of a proxy that says this; what is no host is left out. */
export function createPlacement({ tokenPath, controlPlaneHost: said = "" }: Said): Placement {
  const controlPlaneHost = connectableHost(said);
  return { tokenPath, controlPlaneHost, key: JSON.stringify([tokenPath ?? null, controlPlaneHost ?? null]) };
}

/** Of a proxy that says nothing. */
export const defaultPlacement = createPlacement({});
