import type { OwnServers } from "./own-servers.js";
import type { EnvoyApi } from "./raw/api.js";
import type { SecretServerAddress } from "./tls.js";

/** What configurations depend on besides the mesh, equal for all proxies. */
export interface Surroundings {
  readonly connectTimeoutMs: number;
  /** Where proxies get their certificates; a mesh with mTLS can't be configured without. */
  readonly secretServer: SecretServerAddress | undefined;
  /** Servers of the control plane that no proxy may listen in front of or lead to; none when left out. */
  readonly ownServers?: OwnServers | undefined;
  /** Reads raw resources that the API which we carry along does not know enough for. */
  readonly newerApi?: EnvoyApi | undefined;
}
