import { X509Certificate } from "node:crypto";
import type { SecretServerAddress } from "../envoy/tls.js";
import type { ViewFeed } from "../feed/feed.js";
import type { Authorities } from "../identity/authorities.js";
import { certificateNames, ensureSdsCertificate, firstName, type ServerPair } from "../identity/sds-certificate.js";
import type { SigningKey } from "../identity/signing-key.js";
import { verifyToken } from "../identity/tokens.js";
import { hostPort } from "../lib/host.js";
import type { Logger } from "../lib/logger.js";
import type { Incidents } from "../net/incidents.js";
import { bindError } from "../net/listen.js";
import { frozen } from "../store/frozen.js";
import type { Store } from "../store/store.js";
import type { SecretObserver } from "../xds/observer.js";
import type { Authenticate } from "../xds/secrets/identities.js";
import { type SecretServer, startSecretServer } from "../xds/secrets/server.js";
import { readKeyPair } from "./key-pair-files.js";
import type { Settings } from "./settings.js";

const certFile = "KUMA_SDS_SERVER_TLS_CERT_FILE";
const keyFile = "KUMA_SDS_SERVER_TLS_KEY_FILE";

/** The default host by which Envoys reach this control plane. */
export const hostForEnvoy = ({ xdsHost, advertisedHostname }: Settings): string => xdsHost || advertisedHostname;

/** Whether no advertised host is configured, so that each dataplane gets the host that it used. */
export const isHostUnset = ({ xdsHost, advertisedHostname }: Settings): boolean =>
  xdsHost === "" && advertisedHostname === "localhost";

/**
 * Authenticates proxies by their tokens; without a token server, accepts any dataplane name without authentication. On
 * Kubernetes nobody is accepted by that.
 */
function authenticator({ environment }: Settings, key: SigningKey | undefined): Authenticate {
  if (environment === "kubernetes") {
    return () => ({ kind: "refused", reason: "the control plane can't review ServiceAccount tokens" });
  }
  if (key === undefined) return () => ({ kind: "accepted", until: undefined });
  return (token, proxy) => {
    const verified = verifyToken([key], token ?? "", new Date());
    if (verified.kind === "refused") return { kind: "refused", reason: `the token is invalid: ${verified.reason}` };
    const { name, mesh, expires } = verified;
    if (name === proxy.name && mesh === proxy.mesh) return { kind: "accepted", until: expires };
    return { kind: "refused", reason: `the token is for dataplane "${name}" in mesh "${mesh}"` };
  };
}

async function serverPair(settings: Settings, store: Store): Promise<ServerPair> {
  const { sdsTlsCertFile, sdsTlsKeyFile, advertisedHostname } = settings;
  if (sdsTlsCertFile === "") {
    const hosts = new Set([hostForEnvoy(settings), advertisedHostname, "localhost", "127.0.0.1"]);
    return ensureSdsCertificate(store, [...hosts], new Date());
  }
  return readKeyPair({ path: sdsTlsCertFile, setting: certFile }, { path: sdsTlsKeyFile, setting: keyFile });
}

export interface SecretsOptions {
  readonly settings: Settings;
  readonly store: Store;
  readonly feed: ViewFeed;
  readonly authorities: Authorities;
  /** Undefined if there is no token server. */
  readonly signingKey: SigningKey | undefined;
  readonly observer: SecretObserver;
  readonly logger: Logger;
  readonly incidents: Incidents;
}

/** A certificate's validity, and the setting that names its file; undefined if the control plane generated it. */
export interface PresentedCertificate {
  readonly notBefore: Date;
  readonly notAfter: Date;
  readonly setting: string | undefined;
}

/** The warning for a certificate that every sidecar rejects because of its dates; undefined if it is valid. */
export function validityWarning({ notBefore, notAfter, setting }: PresentedCertificate, now: Date): string | undefined {
  const expired = notAfter <= now;
  if (!expired && notBefore <= now) return undefined;
  const what = expired
    ? `expired at ${notAfter.toISOString()}`
    : `is not valid before ${notBefore.toISOString()}; the clock of this machine says ${now.toISOString()}`;
  const remedy =
    setting === undefined
      ? `name files with a new certificate and its key by ${certFile} and ${keyFile}`
      : `put a new certificate and its key into the files that ${certFile} and ${keyFile} name`;
  return (
    `the certificate of the SDS server ${what}. Sidecars refuse it: they get no certificates and, in meshes with ` +
    `mTLS, can't be reached; ${remedy}, and restart kuma-cp`
  );
}

export interface StartedSecrets {
  readonly server: SecretServer;
  /** The address that proxies get. */
  readonly address: SecretServerAddress;
  readonly certificate: PresentedCertificate;
}

/**
 * Starts the secret discovery server.
 * @throws UserError for a port that can't be had and a certificate that can't be used
 */
export async function startSecrets(options: SecretsOptions): Promise<StartedSecrets> {
  const { settings, store, feed, authorities, signingKey, observer, logger, incidents } = options;
  const tls = await serverPair(settings, store);
  const host = hostForEnvoy(settings);
  const { validFromDate: notBefore, validToDate: notAfter } = new X509Certificate(tls.cert);
  const certificate = { notBefore, notAfter, setting: settings.sdsTlsCertFile === "" ? undefined : certFile };
  const invalid = validityWarning(certificate, new Date());
  if (invalid !== undefined) logger.warn(invalid);
  if (!certificateNames(tls.cert, host)) {
    const remedy =
      settings.sdsTlsCertFile === ""
        ? `name files with a certificate for it and its key by ${certFile} and ${keyFile}, and restart, which drains every connection of meshes with mTLS`
        : `put another certificate into the file that ${certFile} names`;
    logger.warn(
      `the certificate of the SDS server does not name "${host}", so that Envoys that reach it by this name ` +
        `refuse it and get no certificates; ${remedy}`,
    );
  }
  const server = await startSecretServer({
    port: settings.sdsPort,
    tls,
    feed,
    identities: authorities,
    authenticate: authenticator(settings, signingKey),
    observer,
    logger,
    incidents,
    connectionsPerAddress: settings.maxOpeningConnections,
  }).catch((error: unknown) => {
    throw bindError({ port: settings.sdsPort, setting: "KUMA_SDS_SERVER_GRPC_PORT" }, error);
  });
  const address = { target: hostPort(host, server.port), root: tls.cert };
  const verifiedName = certificateNames(tls.cert, host) ? host : firstName(tls.cert);
  const byHost = !isHostUnset(settings) || verifiedName === undefined ? undefined : { port: server.port, verifiedName };
  // Frozen: it is part of the cache key of every TLS context.
  return { server, address: frozen(byHost === undefined ? address : { ...address, byHost }), certificate };
}
