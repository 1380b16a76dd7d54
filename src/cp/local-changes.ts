import type { EndpointLayer } from "../net/endpoints.js";
import type { Refusal } from "../net/exchange.js";
import { localChangesOnly } from "../net/local-changes.js";
import type { Settings } from "./settings.js";

/** The layers that restrict changes to local clients; none if the settings accept changes from everyone. */
export function localChanges(
  { apiAuthnType }: Pick<Settings, "apiAuthnType">,
  server: string,
  refused: (reason: Refusal) => void,
): readonly EndpointLayer[] {
  if (apiAuthnType === "none") return [];
  const remedy =
    `Use the ${server} on that machine or through an SSH tunnel to it (ssh -L); KUMA_API_SERVER_AUTHN_TYPE=none on the ` +
    "control plane takes changes from whoever reaches it";
  return [localChangesOnly({ remedy, refused })];
}
