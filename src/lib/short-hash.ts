import { createHash } from "node:crypto";

/** The first 132 bits of a content's SHA-256, as 22 characters of base64url: enough to tell any two contents apart. */
export const shortHash = (content: string | Uint8Array): string =>
  createHash("sha256").update(content).digest("base64url").slice(0, 22);
