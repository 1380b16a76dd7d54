/**
 * The only variables that Envoy inherits from kuma-dp's environment: an access log format or a raw resource can read
 * any variable, and those of kuma-dp may hold secrets.
 */
const passedOn: readonly string[] = [
  // Envoy is started by its path, but a wrapper script in its place may need PATH.
  "PATH",
  // For builds of Envoy that use their own libraries.
  "LD_LIBRARY_PATH",
  // Envoy's log has local times.
  "TZ",
  "TZDIR",
];

/** Selects Envoy's environment from kuma-dp's. */
export function envoyEnvironment(own: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const chosen: Record<string, string> = {};
  for (const name of passedOn) {
    const value = own[name];
    if (value !== undefined) chosen[name] = value;
  }
  return chosen;
}
