import type { EnvoyResource, XdsKind } from "../envoy/resource.js";
import { createLruCache } from "../lib/lru-cache.js";
import { shortHash } from "../lib/short-hash.js";

/** A discovery response before it is encoded. */
export interface Response {
  readonly kind: XdsKind;
  readonly resources: readonly EnvoyResource[];
  /** Names that no longer exist. */
  readonly removed: readonly string[];
  readonly nonce: string;
}

/** Many streams are sent the same content at a time. */
const hashes = createLruCache<string>(512);

/**
 * Hash of a response's content. It is equal for all streams with that content, so they can share one encoded message.
 */
export function contentHash(kind: XdsKind, resources: readonly EnvoyResource[], removed: readonly string[]): string {
  let content: string = kind;
  for (const { name, version } of resources) content += `\n+${name}\n${version}`;
  for (const name of removed) content += `\n-${name}`;
  return hashes(content, () => shortHash(content));
}

/** Recently sent content keeps its number for all streams that have not received that number yet. */
const numbered = createLruCache<{ number: number }>(4096);
let given = 0;

/** The content's number, if it is greater than `last`; otherwise a new one, greater than all before. */
function numberOf(hash: string, last: number): number {
  const content = numbered(hash, () => ({ number: 0 }));
  if (content.number <= last) content.number = ++given;
  return content.number;
}

/**
 * Creates the nonces of one stream and type: the content hash and the number of the content. Numbers only grow along a
 * stream, so no nonce is repeated even if its content is, and a stream needs to remember only its last number. Streams
 * that are sent the same content at the same time share the number, and therefore the encoded message.
 */
export function createNonces(): (hash: string) => string {
  let last = 0;
  return (hash) => {
    last = numberOf(hash, last);
    return `${hash}-${last.toString(36)}`;
  };
}
