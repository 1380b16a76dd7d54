import type { IncomingMessage } from "node:http";
import { unfinishedBytes } from "./budget.js";

export type Body =
  | { readonly kind: "whole"; readonly bytes: Buffer }
  | { readonly kind: "too-large" }
  /** The budget for incomplete bodies is exceeded, and this is the oldest. */
  | { readonly kind: "no-room" }
  /** It has so many small chunks that it must be an attack. */
  | { readonly kind: "fragmented" }
  | { readonly kind: "cut" };

const noBody = Buffer.alloc(0);

/**
 * Chunks allowed in any case, and the average size from which more are allowed: a chunk costs as much as a kilobyte.
 */
const fewChunks = 2_000;
const sizeOfMany = 16;

/**
 * Reads a body of at most `limit` bytes; synchronously if the headers announce none. Chunks after the first are copied
 * into one growing buffer: a chunk of one byte, kept by itself, would take a hundred bytes more.
 */
export function readBody(request: IncomingMessage, limit: number): Promise<Body> | Body {
  const announced = request.headers["content-length"];
  if (announced === undefined && request.headers["transfer-encoding"] === undefined) {
    return { kind: "whole", bytes: noBody };
  }
  const length = announced === undefined ? Number.NaN : Number(announced);
  if (length > limit) return { kind: "too-large" };
  return new Promise((resolve) => {
    let bytes: Buffer = noBody;
    let size = 0;
    let chunks = 0;
    const share = unfinishedBytes.share(() => done({ kind: "no-room" }));

    function done(body: Body): void {
      request.off("data", collect);
      share.hold(0);
      bytes = noBody;
      resolve(body);
    }

    function collect(chunk: Buffer): void {
      const wanted = size + chunk.length;
      chunks += 1;
      if (chunks > fewChunks && wanted < chunks * sizeOfMany) {
        done({ kind: "fragmented" });
        return;
      }
      if (wanted > limit) {
        done({ kind: "too-large" });
        return;
      }
      if (size === 0) {
        // Most bodies are one chunk, in a buffer of its own.
        bytes = chunk;
        size = wanted;
        if (wanted !== length) share.hold(wanted);
        return;
      }
      if (wanted > bytes.length) {
        const grown = Buffer.allocUnsafeSlow(Math.max(wanted, Math.min(limit, 2 * bytes.length)));
        bytes.copy(grown, 0, 0, size);
        bytes = grown;
      }
      chunk.copy(bytes, size);
      size = wanted;
      // Last, because it may evict this body and call `done`.
      share.hold(bytes.length);
    }

    request.on("data", collect);
    request.on("end", () => done({ kind: "whole", bytes: bytes.subarray(0, size) }));
    request.on("close", () => done({ kind: "cut" }));
    request.on("error", () => done({ kind: "cut" }));
  });
}
