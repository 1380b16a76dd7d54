import { createHash } from "node:crypto";
import { type EnvoyResource, typeUrls, type XdsKind } from "../envoy/resource.js";

/** One discovery response before it is encoded for the wire. */
export interface Response {
  readonly kind: XdsKind;
  readonly resources: readonly EnvoyResource[];
  /** Names that no longer exist. */
  readonly removed: readonly string[];
  readonly nonce: string;
}

/** Hash of what a response says: equal for every stream that is told the same, so that one encoded message serves them all. */
export function contentHash(kind: XdsKind, resources: readonly EnvoyResource[], removed: readonly string[]): string {
  const hash = createHash("sha256").update(typeUrls[kind]);
  for (const { name, version } of resources) hash.update(`\n+${name}\n${version}`);
  for (const name of removed) hash.update(`\n-${name}`);
  return hash.digest("base64url").slice(0, 22);
}

/** How many hashes a stream remembers per type before it starts a new series. */
const remembered = 4096;

/**
 * Gives the nonces of one stream and type: the content hash, and `-n` behind it when the same content
 * is sent again. They never repeat; after 4,096 different contents a new series with its own prefix
 * begins, which bounds what a long-lived stream costs.
 */
export function createNonces(): (hash: string) => string {
  let uses = new Map<string, number>();
  let series = 0;
  return (hash) => {
    if (uses.size >= remembered) {
      uses = new Map();
      series += 1;
    }
    const count = uses.get(hash) ?? 0;
    uses.set(hash, count + 1);
    return `${series === 0 ? "" : `${series}.`}${hash}${count === 0 ? "" : `-${count}`}`;
  };
}
