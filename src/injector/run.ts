import { X509Certificate } from "node:crypto";
import path from "node:path";
import { admissionLimits } from "../kubernetes/admission-endpoint.js";
import { sleep } from "../lib/deadline.js";
import type { Logger } from "../lib/logger.js";
import { serveEndpoints } from "../net/endpoints.js";
import { startHttpServer } from "../net/http-server.js";
import { type KeyPair, readKeyPair } from "../net/key-pair-files.js";
import { followKeyPair } from "../net/key-pair-follower.js";
import { injectorEndpoints } from "./endpoints.js";
import { createMetrics } from "./metrics.js";
import { askServerVersion } from "./server-version.js";
import { type Settings, table } from "./settings.js";
import { chooseSidecarForm } from "./sidecar-form.js";

/** A running injector. */
export interface Injector {
  readonly port: number;
  /** Ends at once, after requests that are being answered. */
  close(): Promise<void>;
  /** As `close`, but serves until Kubernetes has taken this pod out of its Service; `/ready` says no meanwhile. */
  retire(): Promise<void>;
}

const certDirVariable = table.certDir.env[0] ?? "";

/** What is wrong with a certificate for which the webhook can be served, but not called. */
function certificateWarning({ cert }: KeyPair, now: Date): string | undefined {
  const { subjectAltName, validTo } = new X509Certificate(cert);
  if (subjectAltName === undefined) {
    return "the certificate has no subject alternative name, without which API servers don't call the webhook";
  }
  return new Date(validTo) < now ? `the certificate expired at ${validTo}` : undefined;
}

/**
 * Starts the webhook.
 * @param signal ends the wait for the API server
 * @throws UserError for an unavailable port, an unusable certificate, and native sidecars on an old API server
 */
export async function startInjector(
  settings: Settings,
  env: Readonly<Record<string, string | undefined>>,
  logger: Logger,
  signal: AbortSignal,
): Promise<Injector> {
  const ended = new AbortController();
  const file = (name: string) => ({ path: path.join(settings.certDir, name), setting: certDirVariable });
  const [certFile, keyFile] = [file("tls.crt"), file("tls.key")];
  const pair = await readKeyPair(certFile, keyFile);
  const warn = (presented: KeyPair) => {
    const warning = certificateWarning(presented, new Date());
    if (warning !== undefined) logger.warn(warning, { file: certFile.path });
  };
  warn(pair);
  const form = await chooseSidecarForm({
    wanted: settings.nativeSidecar,
    ask: (asked) => askServerVersion(settings.apiCredentialsDir, env, asked),
    logger,
    signal: AbortSignal.any([signal, ended.signal]),
  });
  const metrics = createMetrics();
  let ready = true;
  const endpoints = injectorEndpoints({
    injection: () => ({ ...settings.injection, nativeSidecar: form.native() }),
    ready: () => ready,
    metrics,
    logger,
  });
  const server = await startHttpServer({
    port: settings.port,
    ...(settings.address === undefined ? {} : { host: settings.address }),
    setting: table.port.env[0] ?? "",
    tls: pair,
    limits: admissionLimits,
    layers: [],
    handler: serveEndpoints({ endpoints, layers: [] }),
    logger: logger.child("webhook"),
    incidents: metrics.incidents,
  }).catch((error: unknown) => {
    ended.abort();
    throw error;
  });
  const present = (renewed: KeyPair) => {
    server.present(renewed);
    warn(renewed);
  };
  followKeyPair({ certFile, keyFile, initial: pair, present, logger }, ended.signal);

  async function close(): Promise<void> {
    ready = false;
    ended.abort();
    await server.close();
  }
  return {
    port: server.port,
    close,
    async retire() {
      ready = false;
      await sleep(settings.shutdownDelay, ended.signal).catch(() => undefined);
      await close();
    },
  };
}
