/** Headers are ASCII, and clients limit their length. */
const longestWarning = 1000;
const quotedText = (text: string) => JSON.stringify(text.slice(0, longestWarning).replaceAll(/[^\x20-\x7e]/g, "?"));

/** A `Warning` header with these texts, each with code 299, "miscellaneous persistent warning" (RFC 7234). */
export const warningHeader = (texts: readonly string[]): string =>
  texts.map((text) => `299 - ${quotedText(text)}`).join(", ");

/** The texts of a `Warning` header (RFC 7234, 5.5): `299 - "text", 299 - "text"`; empty without such a header. */
export function readWarningHeader(header: string | undefined): string[] {
  const values = header?.match(/\b\d{3} \S+ "(?:[^"\\]|\\.)*"/g) ?? [];
  return values.map((value) => value.slice(value.indexOf('"') + 1, -1).replaceAll(/\\(.)/g, "$1"));
}
