/** What an inbound is, or what a selector asks for: `service` and whatever else the user labels it with. */
export type Tags = Readonly<Record<string, string>>;

/** The tag every inbound has. */
export const serviceTag = "service";

const longest = 255;

/** What is wrong with a text that has to be a word of printable ASCII; undefined when nothing is. */
function wordProblem(text: string): string | undefined {
  if (text === "") return "cannot be empty";
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code <= 0x20 || code >= 0x7f) return "cannot contain blanks or characters other than printable ASCII";
  }
  return text.length > longest ? `cannot be longer than ${longest} characters` : undefined;
}

/**
 * What is wrong with the value of an inbound's tag or of an outbound's service, which end up in URI SANs and matchers;
 * undefined when nothing is.
 */
export const tagValueProblem = (value: string): string | undefined =>
  value === "*" ? 'cannot be "*"' : wordProblem(value);

/** What is wrong with the key of a tag, be it an inbound's or one that a selector asks for; undefined when nothing is. */
export const tagKeyProblem = (key: string): string | undefined =>
  // Whoever writes it expects it to stand for any key, which nothing does.
  key === "*" ? 'cannot be "*", which only a value in a selector can be' : wordProblem(key);
