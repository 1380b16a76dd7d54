declare const opaque: unique symbol;

/**
 * Identifies one written state of a resource. It is opaque: only the store that created it interprets and compares it;
 * everyone else passes it back.
 */
export interface Version {
  readonly [opaque]: true;
}

/** For stores only: wraps a store's token as a version. */
export const versionOf = (token: number | string): Version => token as unknown as Version;

/** For stores only: the token of a version that a caller passes back, maybe one of another store. */
export const tokenOf = (version: Version): unknown => version;
