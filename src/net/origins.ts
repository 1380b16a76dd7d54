import { messageOf, UserError } from "../lib/errors.js";

/** Whether an origin may use our HTTP servers from a browser. */
export type AllowedOrigins = (origin: string) => boolean;

/** The longest scheme, host and port; no real Origin is longer. */
const longestOrigin = 300;
const longestPattern = 256;
const mostOrigins = 100;
/**
 * Instructions of a compiled pattern. Matching time depends only on these and on the length of the Origin: at most some
 * ten milliseconds for a pattern made to be slow, microseconds for sane ones.
 */
const largestPattern = 250;

/** A literal Origin: nothing in it could be meant as a pattern, except the dots of its host. */
const plainOrigin = /^[a-z][a-z0-9+.-]*:\/\/(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?$/;

function refused(setting: string, domain: string, problem: string): UserError {
  const shown = domain.length > 100 ? `${domain.slice(0, 100)}…` : domain;
  return UserError.of("origins.invalid", { setting, origin: shown, problem });
}

/**
 * Reads a list of origins and of regular expressions that must match a whole origin. They are matched in linear time
 * (RE2), because the Origin comes from untrusted clients.
 * @param setting the name of the setting, for error messages
 * @throws UserError `origins.invalid` for an invalid or too large expression
 */
export async function allowedOrigins(domains: readonly string[], setting: string): Promise<AllowedOrigins> {
  if (domains.length > mostOrigins) {
    throw UserError.of("origins.count", { setting, count: domains.length, most: mostOrigins });
  }
  const exact = new Set(domains);
  const written = domains.filter((domain) => !plainOrigin.test(domain));
  if (written.length === 0) return (origin) => exact.has(origin);
  // Loaded on demand: 60 KB of code that most control planes never need.
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
