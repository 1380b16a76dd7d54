import type { Settings } from "./settings.js";

/** The warning for a control plane that accepts changes from everyone; undefined otherwise. */
export function exposureWarning({
  apiAuthnType,
  apiInterface,
}: Pick<Settings, "apiAuthnType" | "apiInterface">): string | undefined {
  if (apiAuthnType !== "none") return undefined;
  return (
    `KUMA_API_SERVER_AUTHN_TYPE is none: whoever reaches the HTTP API, which listens on ${apiInterface}, can change every ` +
    "resource, and thereby run programs on every sidecar's host; with localhost, the default, only programs on this " +
    "machine can"
  );
}
