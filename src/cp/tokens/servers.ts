import type { SigningKey } from "../../identity/signing-key.js";
import { UserError } from "../../lib/errors.js";
import type { Logger } from "../../lib/logger.js";
import { createClientCheck } from "../../net/client-check.js";
import { createSiteGuard, knownHostsOnly } from "../../net/cross-site.js";
import { type EndpointLayer, serveEndpoints } from "../../net/endpoints.js";
import type { Refusal } from "../../net/exchange.js";
import { type ServerTls, startHttpServer } from "../../net/http-server.js";
import type { Incidents } from "../../net/incidents.js";
import type { Binding } from "../../net/listen.js";
import type { AllowedOrigins } from "../../net/origins.js";
import type { Store } from "../../store/store.js";
import { readKeyPair } from "../key-pair-files.js";
import type { Settings } from "../settings.js";
import { readClientCertificates } from "./client-certificates.js";
import { tokenEndpoint } from "./handler.js";
import { secretsEndpoints } from "./secrets.js";
import { secretsToken } from "./secrets-token.js";

export interface TokenServers {
  readonly localPort: number;
  /** Undefined if there is no public server. */
  readonly publicPort: number | undefined;
  close(): Promise<void>;
}

const variables = {
  secretsTokenFile: "KUMA_DATAPLANE_TOKEN_SERVER_LOCAL_SECRETS_TOKEN_FILE",
  localPort: "KUMA_DATAPLANE_TOKEN_SERVER_LOCAL_PORT",
  publicInterface: "KUMA_DATAPLANE_TOKEN_SERVER_PUBLIC_INTERFACE",
  publicPort: "KUMA_DATAPLANE_TOKEN_SERVER_PUBLIC_PORT",
  certFile: "KUMA_DATAPLANE_TOKEN_SERVER_PUBLIC_TLS_CERT_FILE",
  keyFile: "KUMA_DATAPLANE_TOKEN_SERVER_PUBLIC_TLS_KEY_FILE",
  clientCertsDir: "KUMA_DATAPLANE_TOKEN_SERVER_PUBLIC_CLIENT_CERTS_DIR",
};

/** The local server is for this machine only: whoever reaches it gets a token without authentication. */
const localHost = "127.0.0.1";
/** Hosts that include loopback. */
const coversLoopback = new Set(["0.0.0.0", "::", localHost, "localhost"]);

export interface TokenServersOptions {
  readonly settings: Settings;
  readonly store: Store;
  readonly key: SigningKey;
  readonly allowedOrigins: AllowedOrigins;
  /** Middleware around the endpoints of the local server. */
  readonly localLayers: readonly EndpointLayer[];
  /** Called for each request that the host check rejects. */
  readonly refused: (reason: Refusal) => void;
  readonly incidents: Incidents;
  readonly logger: Logger;
}

/**
 * Starts the token server on loopback and, if enabled, the public one over HTTPS, for clients with the configured
 * certificates.
 * @throws UserError for an unavailable port, or unusable certificates and keys
 */
export async function startTokenServers({
  settings,
  store,
  key,
  allowedOrigins: allowed,
  localLayers,
  refused,
  incidents,
  logger,
}: TokenServersOptions): Promise<TokenServers> {
  const { advertisedHostname } = settings;
  const guard = (scheme: "http" | "https") => createSiteGuard({ allowed, advertisedHostname, scheme });
  const tokens = (scheme: "http" | "https") =>
    tokenEndpoint({ key, guard: guard(scheme), logger, now: () => new Date() });
  // Finds errors before any port is open.
  const tls = settings.tokenPublicEnabled ? await readPublicTls(settings, logger) : undefined;
  const { tokenLocalSecretsTokenFile: file } = settings;
  const token = file === "" ? undefined : await secretsToken(file, variables.secretsTokenFile);
  const secrets = token === undefined ? [] : secretsEndpoints({ store, token, guard: guard("http"), logger });
  const local = await startHttpServer({
    port: settings.tokenLocalPort,
    host: localHost,
    setting: variables.localPort,
    layers: [knownHostsOnly(guard("http"), refused)],
    handler: serveEndpoints({ endpoints: [tokens("http"), ...secrets], layers: localLayers }),
    logger,
    incidents,
  });
  if (tls === undefined) return { localPort: local.port, publicPort: undefined, close: local.close };
  try {
    const binding = publicBinding(settings, local.port);
    const layers = [knownHostsOnly(guard("https"), refused)];
    const open = await startHttpServer({
      ...binding,
      tls,
      layers,
      handler: serveEndpoints({ endpoints: [tokens("https")], layers: [] }),
      logger: logger.child("public"),
      incidents,
    });
    const close = async () => void (await Promise.all([local.close(), open.close()]));
    return { localPort: local.port, publicPort: open.port, close };
  } catch (error) {
    await local.close();
    throw error;
  }
}

function publicBinding({ tokenPublicInterface: host, tokenPublicPort }: Settings, localPort: number): Binding {
  const port = tokenPublicPort || localPort;
  if (port === localPort && coversLoopback.has(host)) {
    throw UserError.of("port.shared", {
      host,
      port,
      localHost,
      portSetting: variables.publicPort,
      interfaceSetting: variables.publicInterface,
    });
  }
  return {
    port,
    host,
    setting: `${variables.publicPort} or ${variables.publicInterface}`,
    zero: "as the local server",
  };
}

async function readPublicTls(settings: Settings, logger: Logger): Promise<ServerTls> {
  const pair = await readKeyPair(
    { path: settings.tokenPublicTlsCertFile, setting: variables.certFile },
    { path: settings.tokenPublicTlsKeyFile, setting: variables.keyFile },
  );
  const directory = settings.tokenPublicClientCertsDir;
  const { certificates, ignored } = await readClientCertificates(directory, variables.clientCertsDir);
  logger.info("client certificates read", { directory, certificates: certificates.length, ignored });
  if (settings.advertisedHostname === "localhost") {
    logger.warn(
      "the control plane advertises https://localhost to other machines as its token server: set " +
        "KUMA_GENERAL_ADVERTISED_HOSTNAME to a name or an address by which they reach this machine",
    );
  }
  return { ...pair, clients: createClientCheck(certificates) };
}
