import type { EnvoyResource, XdsKind } from "../envoy/resource.js";
import { createLruCache } from "../lib/lru-cache.js";
import { shortHash } from "../lib/short-hash.js";

/** One discovery response before it is encoded for the wire. */
export interface Response {
  readonly kind: XdsKind;
  readonly resources: readonly EnvoyResource[];
  /** Names that no longer exist. */
  readonly removed: readonly string[];
  readonly nonce: string;
}

/** Many streams are told the same at a time. */
const hashes = createLruCache<string>(512);

/** Hash of what a response says: equal for every stream that is told the same, so that one encoded message serves them all. */
export function contentHash(kind: XdsKind, resources: readonly EnvoyResource[], removed: readonly string[]): string {
  let content: string = kind;
  for (const { name, version } of resources) content += `\n+${name}\n${version}`;
  for (const name of removed) content += `\n-${name}`;
  return hashes(content, () => shortHash(content));
}

/** Content that was sent recently is sent under the same number to whoever did not get that number before. */
const numbered = createLruCache<{ number: number }>(4096);
let given = 0;

/** The content's number, if that is above `last`; else a new one, above all that were ever given. */
function numberOf(hash: string, last: number): number {
  const content = numbered(hash, () => ({ number: 0 }));
  if (content.number <= last) content.number = ++given;
  return content.number;
}

/**
 * Gives the nonces of one stream and type: the content hash and the number of the content. Numbers only grow along a
 * stream, so that no nonce comes twice however often the same content does, and a stream remembers nothing but its last
 * one. Streams that are told the same meanwhile share the number, and with it the encoded message.
 */
export function createNonces(): (hash: string) => string {
  let last = 0;
  return (hash) => {
    last = numberOf(hash, last);
    return `${hash}-${last.toString(36)}`;
  };
}
