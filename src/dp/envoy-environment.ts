/**
 * The variables that Envoy gets of kuma-dp's environment, and no others: an access log format or a raw resource may read
 * any of them, and those of kuma-dp may hold secrets.
 */
const passedOn: readonly string[] = [
  // Envoy itself is started by its path; a script in its place looks programs up.
  "PATH",
  // Builds of Envoy that are linked to libraries of their own.
  "LD_LIBRARY_PATH",
  // The times in Envoy's own log are local.
  "TZ",
  "TZDIR",
];

/** Envoy's environment, chosen from kuma-dp's. */
export function envoyEnvironment(own: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const chosen: Record<string, string> = {};
  for (const name of passedOn) {
    const value = own[name];
    if (value !== undefined) chosen[name] = value;
  }
  return chosen;
}
