/** What an inbound is, or what a selector asks for: `service` and whatever else the user labels it with. */
export type Tags = Readonly<Record<string, string>>;

/** The tag every inbound has. */
export const serviceTag = "service";

const longestValue = 255;

/**
 * What is wrong with the value of an inbound's tag or of an outbound's service, which end up in URI SANs and matchers;
 * undefined when nothing is.
 */
export function tagValueProblem(value: string): string | undefined {
  if (value === "") return "cannot be empty";
  for (let index = 0; index < value.length; index++) {
    const code = value.charCodeAt(index);
    if (code <= 0x20 || code >= 0x7f) return "cannot contain blanks or characters other than printable ASCII";
  }
  if (value === "*") return 'cannot be "*"';
  return value.length > longestValue ? `cannot be longer than ${longestValue} characters` : undefined;
}
