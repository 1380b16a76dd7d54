import { createHash } from "node:crypto";

/** The first 132 bits of the content's SHA-256, as 22 characters of base64url: enough to rule out collisions. */
export const shortHash = (content: string | Uint8Array): string =>
  createHash("sha256").update(content).digest("base64url").slice(0, 22);
