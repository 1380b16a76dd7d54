import type { OwnServers } from "./own-servers.js";
import type { EnvoyApi } from "./raw/api.js";
import type { SecretServerAddress } from "./tls.js";

/** The inputs of a generator besides the mesh, equal for all proxies. */
export interface GeneratorOptions {
  readonly connectTimeoutMs: number;
  /** The server that proxies fetch their certificates from; required by a mesh with mTLS. */
  readonly secretServer: SecretServerAddress | undefined;
  /** Servers of the control plane that no proxy may take the address of or forward to. Default: none. */
  readonly ownServers?: OwnServers | undefined;
  /** A newer API, for raw resources that the built-in one does not know. */
  readonly newerApi?: EnvoyApi | undefined;
}
