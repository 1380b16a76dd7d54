import type { Steps } from "../../lib/steps.js";
import type { BodyPieces } from "../../net/exchange.js";
import { inSlices } from "../../net/slices.js";

/** About so much of a long list is made at once, when the client has taken what came before. */
const pieceBytes = 64 * 1024;

/** The texts of a list's elements, each indented, joined by commas in pieces; empty when there are no more. */
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

/** An element of a list as it is written there: pretty-printed text, indented. */
export const asElement = (text: string): string => `  ${text.replaceAll("\n", "\n  ")}`;

/**
 * A list as `jsonReply` would write it, made in slices. One of at most `wholeBytes`, about, comes as a whole; a longer one
 * in pieces, so that what a slow client has not taken yet is never made.
 * @param elements texts by `asElement`, made when they are asked for
 * @param end what follows the list inside of the outer object, such as `,\n "next": null`
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
