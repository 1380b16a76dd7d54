import type { IncomingMessage } from "node:http";
import { unfinishedBytes } from "./budget.js";

export type Body =
  | { readonly kind: "whole"; readonly bytes: Buffer }
  | { readonly kind: "too-large" }
  /** All servers hold too much that is unfinished, and this for the longest. */
  | { readonly kind: "no-room" }
  /** It comes in so many and so small chunks that reading it is an attack. */
  | { readonly kind: "shredded" }
  | { readonly kind: "cut" };

const noBody = Buffer.alloc(0);

/** A body may come in so many chunks, and in more when they have some size on average: each costs as much as a kilobyte. */
const fewChunks = 2_000;
const sizeOfMany = 16;

/**
 * Reads a body of at most `limit` bytes; without waiting when the header announces none. Chunks behind the first are
 * copied into one buffer that grows with it: of chunks with a byte each, every one would take a hundred more.
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
        done({ kind: "shredded" });
        return;
      }
      if (wanted > limit) {
        done({ kind: "too-large" });
        return;
      }
      if (size === 0) {
        // Most bodies come in one chunk, which Node made for it alone.
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
      // May end in `done`: nothing is to be done after it.
      share.hold(bytes.length);
    }

    request.on("data", collect);
    request.on("end", () => done({ kind: "whole", bytes: bytes.subarray(0, size) }));
    request.on("close", () => done({ kind: "cut" }));
    request.on("error", () => done({ kind: "cut" }));
  });
}
