import { createHash } from "node:crypto";
import type { EnvoyResource, XdsKind } from "../envoy/resource.js";
import { createLately } from "../lib/lately.js";

/** One discovery response before it is encoded for the wire. */
export interface Response {
  readonly kind: XdsKind;
  readonly resources: readonly EnvoyResource[];
  /** Names that no longer exist. */
  readonly removed: readonly string[];
  readonly nonce: string;
}

/** Many streams are told the same at a time. */
const hashes = createLately<string>(512);

/** Hash of what a response says: equal for every stream that is told the same, so that one encoded message serves them all. */
export function contentHash(kind: XdsKind, resources: readonly EnvoyResource[], removed: readonly string[]): string {
  let content: string = kind;
  for (const { name, version } of resources) content += `\n+${name}\n${version}`;
  for (const name of removed) content += `\n-${name}`;
  return hashes(content, () => createHash("sha256").update(content).digest("base64url").slice(0, 22));
}

/**
 * Gives the nonces of one stream and type: the content hash, and `-n` behind it when the same content is sent again
 * right away. That a hash comes back after another one can't be mistaken: the client has answered both by then, in
 * order, and whatever it says later bears the later nonce.
 */
export function createNonces(): (hash: string) => string {
  let last = "";
  let again = 0;
  return (hash) => {
    again = hash === last ? again + 1 : 0;
    last = hash;
    return again === 0 ? hash : `${hash}-${again}`;
  };
}
