import type { Steps } from "../../lib/steps.js";
import type { BodyPieces } from "../../net/exchange.js";
import { inSlices } from "../../net/slices.js";

/** Approximate size of a piece of a long list; each is rendered once the client has read the previous ones. */
const pieceBytes = 64 * 1024;

/** The next piece of a list: its indented elements, joined by commas; empty after the last one. */
function* nextPiece(elements: Iterator<string>, first: boolean): Steps<string> {
  let piece = "";
  while (piece.length < pieceBytes) {
    const { done, value } = elements.next();
    if (done === true) break;
    piece += first && piece === "" ? value : `,\n${value}`;
    yield;
  }
  return piece;
}

const head = '{\n "items": [\n';
const tail = (end: string) => `\n ]${end}\n}\n`;

/** Indents a pretty-printed text as an element of a list. */
export const asElement = (text: string): string => `  ${text.replaceAll("\n", "\n  ")}`;

/**
 * Renders a list like `jsonReply`, in slices. A list up to about `wholeBytes` is returned whole; a longer one in
 * pieces, so that nothing is rendered before a slow client reads it.
 * @param elements texts by `asElement`, rendered lazily
 * @param end what follows the list in the outer object, such as `,\n "next": null`
 */
export async function listBody(elements: Iterator<string>, wholeBytes: number, end = ""): Promise<Buffer | BodyPieces> {
  const made: Buffer[] = [];
  let size = 0;
  for (;;) {
    const piece = await inSlices(nextPiece(elements, made.length === 0));
    if (piece === "" && made.length === 0) return Buffer.from(`{\n "items": []${end}\n}\n`);
    if (piece === "") return Buffer.concat([Buffer.from(head), ...made, Buffer.from(tail(end))]);
    const bytes = Buffer.from(piece);
    made.push(bytes);
    size += bytes.length;
    if (size > wholeBytes) return rest(made, elements, end);
  }
}

async function* rest(made: readonly Buffer[], elements: Iterator<string>, end: string): BodyPieces {
  yield Buffer.from(head);
  yield* made;
  for (;;) {
    const piece = await inSlices(nextPiece(elements, false));
    if (piece === "") break;
    yield Buffer.from(piece);
  }
  yield Buffer.from(tail(end));
}
