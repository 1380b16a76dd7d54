import { messageOf, UserError } from "../lib/errors.js";

/** Whether another site, by its Origin, may use our HTTP servers from a browser. */
export type AllowedOrigins = (origin: string) => boolean;

/** Scheme, host and port at their longest; what is longer is nobody's Origin. */
const longestOrigin = 300;
const longestPattern = 256;
const mostOrigins = 100;
/**
 * Instructions of a compiled pattern. Matching takes a time that grows with these and the length of the Origin alone:
 * at most some ten milliseconds for a pattern made to be slow, microseconds for sane ones.
 */
const largestPattern = 250;

/** What a browser sends as an Origin: nothing in it can be meant as a pattern but the dots of its host. */
const plainOrigin = /^[a-z][a-z0-9+.-]*:\/\/(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?$/;

function refused(setting: string, domain: string, problem: string): UserError {
  const shown = domain.length > 100 ? `${domain.slice(0, 100)}…` : domain;
  return UserError.of("origins.invalid", { setting, origin: shown, problem });
}

/**
 * Reads a list of origins and of regular expressions that a whole origin has to match. They are matched in linear time
 * (RE2), because the Origin comes from strangers.
 * @param setting what a user changes to get another list, for the errors
 * @throws UserError `origins.invalid` for what is no such expression or too large a one
 */
export async function allowedOrigins(domains: readonly string[], setting: string): Promise<AllowedOrigins> {
  if (domains.length > mostOrigins) {
    throw UserError.of("origins.count", { setting, count: domains.length, most: mostOrigins });
  }
  const exact = new Set(domains);
  const written = domains.filter((domain) => !plainOrigin.test(domain));
  if (written.length === 0) return (origin) => exact.has(origin);
  // 60 KB of code that most control planes never need.
  const { RE2JS } = await import("re2js");
  const patterns = written.map((domain) => {
    if (domain.length > longestPattern) {
      throw refused(setting, domain, `which is longer than the ${longestPattern} characters that a pattern may have`);
    }
    let pattern: InstanceType<typeof RE2JS>;
    try {
      pattern = RE2JS.compile(`(?:${domain})`);
    } catch (error) {
      throw refused(setting, domain, `which is neither an origin nor a regular expression (${messageOf(error)})`);
    }
    if (pattern.programSize() > largestPattern) {
      throw refused(setting, domain, "a regular expression that repeats too much to be matched quickly");
    }
    return pattern;
  });
  return (origin) =>
    origin.length <= longestOrigin && (exact.has(origin) || patterns.some((pattern) => pattern.matches(origin)));
}
