/**
 * Characters that control a terminal, or change how the surrounding text reads: control characters (C0, DEL, C1), line
 * and paragraph separators, invisible format characters such as direction overrides and byte order marks, and halves of
 * surrogate pairs.
 */
const steering = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;

/** The same without line breaks and tabs. */
const steeringInLines = /(?![\n\t])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;

/** Whether the text has characters, other than line breaks and tabs, that `visible` would escape. */
export const steersTerminal = (text: string): boolean => text.search(steeringInLines) >= 0;

const short: ReadonlyMap<string, string> = new Map([
  ["\n", "\\n"],
  ["\r", "\\r"],
  ["\t", "\\t"],
]);

/** `\u001b`; characters beyond 16 bits become two, as in JSON. */
function escaped(character: string): string {
  let text = "";
  for (let index = 0; index < character.length; index++) {
    text += `\\u${character.charCodeAt(index).toString(16).padStart(4, "0")}`;
  }
  return text;
}

/**
 * Makes text safe for one line of a terminal or a log: control and format characters are shown as escapes (`\n`,
 * `\u001b`), everything else is kept.
 */
export const visible = (text: string): string =>
  text.replaceAll(steering, (character) => short.get(character) ?? escaped(character));

/** As `visible`, for text of several lines: line breaks and tabs stay. */
export const visibleLines = (text: string): string => text.replaceAll(steeringInLines, escaped);

/**
 * Escapes the characters that JSON allows but that control a terminal. A parser reads the same value back: outside of
 * strings, JSON has no such characters except line breaks and tabs.
 */
export const visibleJson = visibleLines;
