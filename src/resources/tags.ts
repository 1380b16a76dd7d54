/** The tags of an inbound or a selector: `service` and any other labels of the user. */
export type Tags = Readonly<Record<string, string>>;

/** The tag that every inbound has. */
export const serviceTag = "service";

const longest = 255;

/** Why a text is not a word of printable ASCII; undefined if it is. */
function wordProblem(text: string): string | undefined {
  if (text === "") return "cannot be empty";
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code <= 0x20 || code >= 0x7f) return "cannot contain blanks or characters other than printable ASCII";
  }
  return text.length > longest ? `cannot be longer than ${longest} characters` : undefined;
}

/**
 * Why the value of an inbound's tag or an outbound's service is invalid; undefined if it is valid. These end up in URI
 * SANs and matchers.
 */
export const tagValueProblem = (value: string): string | undefined =>
  value === "*" ? 'cannot be "*"' : wordProblem(value);

/** Why the key of an inbound's or a selector's tag is invalid; undefined if it is valid. */
export const tagKeyProblem = (key: string): string | undefined =>
  // A user would expect it to match any key, which is not supported.
  key === "*" ? 'cannot be "*", which only a value in a selector can be' : wordProblem(key);
