declare const opaque: unique symbol;

/**
 * Tells what was written of a resource from what was written before and after. Only the store that made it knows what
 * it is, and compares it; everyone else keeps it and gives it back.
 */
export interface Version {
  readonly [opaque]: true;
}

/** For stores only: a token of their own as the version that they hand out. */
export const versionOf = (token: number | string): Version => token as unknown as Version;

/** For stores only: the token of a version that a caller gives back, which another store may have made. */
export const tokenOf = (version: Version): unknown => version;
