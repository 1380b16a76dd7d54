import { createPrivateKey, X509Certificate } from "node:crypto";
import type { KubeClient } from "../kubeapi/client.js";
import type { Collection } from "../kubeapi/collection.js";
import { hasStatus } from "../kubeapi/error.js";
import type { KubeObject } from "../kubeapi/object.js";
import { sleep } from "../lib/deadline.js";
import { messageOf } from "../lib/errors.js";
import type { Logger } from "../lib/logger.js";
import type { Controller } from "./controllers/pod-controller.js";
import { objectIn, objectsIn, textIn, textsIn } from "./fields.js";
import type { Pair } from "./manifests/pairs.js";
import type { ConfigurationName, WebhookServer } from "./webhook-names.js";

// Renewal of the self-signed certificates of webhooks, without a moment at which an API server does not trust the one
// that is presented. What has been done so far is in the Secret, so that another control plane can go on:
//
//   serving   one pair; close to its end a next one is made
//   trusting  a next pair: API servers come to trust both, the servers still present the old one
//   retiring  the pair is replaced: kubelets bring it to the servers, and API servers still trust the old one

const nextCert = "next.crt";
const nextKey = "next.key";
const previousCert = "previous.crt";
/** When the present state of a renewal began. */
const sinceAnnotation = "kuma.io/certificate-changed-at";

/** Durations in milliseconds. */
interface Times {
  /** Between two looks at a certificate that is not being renewed. */
  readonly check: number;
  /** Between two looks during a renewal. */
  readonly step: number;
  /** Until every API server has heard of a change of its webhook configurations. */
  readonly trust: number;
  /** Until every kubelet has brought a changed Secret to its pods. */
  readonly retire: number;
}

const usualTimes: Times = { check: 3_600_000, step: 15_000, trust: 60_000, retire: 600_000 };

export interface WebhookCertificatesOptions {
  readonly client: Pick<KubeClient, "get" | "replace">;
  readonly systemNamespace: string;
  readonly servers: readonly WebhookServer[];
  /** Makes a self-signed pair for these DNS names. */
  readonly create: (hosts: readonly string[], now: Date) => Promise<Pair>;
  readonly logger: Logger;
  readonly now?: () => Date;
  readonly times?: Partial<Times>;
}

/** How much of a certificate's validity passes before it is renewed. */
const renewalPoint = 0.8;

const isDue = ({ validFromDate, validToDate }: X509Certificate, now: Date): boolean => {
  const [from, to] = [validFromDate.getTime(), validToDate.getTime()];
  return now.getTime() >= from + renewalPoint * (to - from);
};

const dnsNames = ({ subjectAltName = "" }: X509Certificate): string[] =>
  [...subjectAltName.matchAll(/DNS:([A-Za-z0-9*._-]+)/g)].map(([, name = ""]) => name);

/** The certificates in a PEM text, one by one. */
export const pemBlocks = (text: string): string[] =>
  text.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g) ?? [];

const decoded = (value: unknown) => Buffer.from(textIn(value), "base64").toString("utf8");
const encoded = (text: string) => Buffer.from(text).toString("base64");

/** The pair; undefined where one half is missing, is not PEM, or does not belong to the other. */
function readPair(
  cert: string,
  key: string,
): { readonly pair: Pair; readonly certificate: X509Certificate } | undefined {
  try {
    const certificate = new X509Certificate(cert);
    return certificate.checkPrivateKey(createPrivateKey(key)) ? { pair: { cert, key }, certificate } : undefined;
  } catch {
    return undefined;
  }
}

/** On a Secret, with the value `disabled`: somebody else renews it, such as whoever keeps its YAML. */
const renewalAnnotation = "kuma.io/certificate-renewal";

/** Whether the certificate is one of ours to renew: its own authority, and looked after by nobody else. */
function isOurs(certificate: X509Certificate, { metadata }: KubeObject): boolean {
  const annotations = textsIn(metadata.annotations);
  const managed =
    annotations[renewalAnnotation] === "disabled" ||
    Object.keys(annotations).some((name) => name.includes("cert-manager.io/"));
  return !managed && certificate.ca && certificate.checkIssued(certificate) && dnsNames(certificate).length > 0;
}

const secretsIn = (namespace: string): Collection => ({ group: "", version: "v1", plural: "secrets", namespace });
const configurationsOf = (plural: ConfigurationName["plural"]): Collection => ({
  group: "admissionregistration.k8s.io",
  version: "v1",
  plural,
});

/** Changes the certificates that API servers trust for the webhooks of a configuration. Undefined: nothing to do. */
function withTrust(
  configuration: KubeObject,
  namespace: string,
  added: readonly string[],
  dropped: string | undefined,
): KubeObject | undefined {
  let changed = false;
  const webhooks = objectsIn(configuration.webhooks).map((webhook) => {
    const clientConfig = objectIn(webhook.clientConfig);
    // A webhook that is called by URL, or elsewhere, is somebody else's.
    if (objectIn(clientConfig.service).namespace !== namespace) return webhook;
    const present = pemBlocks(decoded(clientConfig.caBundle));
    const without = dropped === undefined ? present : present.filter((block) => !pemBlocks(dropped).includes(block));
    const missing = added.flatMap(pemBlocks).filter((block) => !without.includes(block));
    if (missing.length === 0 && without.length === present.length) return webhook;
    changed = true;
    const caBundle = encoded([...without, ...missing].map((block) => `${block}\n`).join(""));
    return { ...webhook, clientConfig: { ...clientConfig, caBundle } };
  });
  return changed ? { ...configuration, webhooks } : undefined;
}

/** Keeps the certificates of webhooks renewed until it is closed. */
export function startWebhookCertificates(options: WebhookCertificatesOptions): Controller {
  const { client, systemNamespace, servers, create, logger, now = () => new Date() } = options;
  const times = { ...usualTimes, ...options.times };
  const stop = new AbortController();
  const secrets = secretsIn(systemNamespace);

  /** Makes API servers trust these certificates and no longer that one. @returns whether that changed anything */
  async function trust(server: WebhookServer, added: readonly string[], dropped?: string): Promise<boolean> {
    let changed = false;
    for (const { plural, name } of server.configurations) {
      const collection = configurationsOf(plural);
      const configuration = await client.get(collection, name);
      if (configuration === undefined) continue;
      const next = withTrust(configuration, systemNamespace, added, dropped);
      if (next === undefined) continue;
      await client.replace(collection, next);
      changed = true;
    }
    return changed;
  }

  /** Writes the Secret's data, and when that was. Undefined values are removed. */
  async function write(secret: KubeObject, data: Readonly<Record<string, string | undefined>>): Promise<void> {
    const merged: Record<string, unknown> = { ...objectIn(secret.data) };
    for (const [name, text] of Object.entries(data)) {
      if (text === undefined) delete merged[name];
      else merged[name] = encoded(text);
    }
    const annotations = { ...secret.metadata.annotations, [sinceAnnotation]: now().toISOString() };
    await client.replace(secrets, { ...secret, data: merged, metadata: { ...secret.metadata, annotations } });
  }

  /** One step, if it is time for one. @returns how long to wait for the next look */
  async function step(server: WebhookServer): Promise<number> {
    const secret = await client.get(secrets, server.secret);
    if (secret === undefined) return times.check;
    const data = objectIn(secret.data);
    const [current, next] = [
      readPair(decoded(data["tls.crt"]), decoded(data["tls.key"])),
      readPair(decoded(data[nextCert]), decoded(data[nextKey])),
    ];
    if (current === undefined) throw new Error(`Secret ${server.secret} has no certificate with its key`);
    const { certificate } = current;
    if (!isOurs(certificate, secret)) {
      if (!isDue(certificate, now())) return times.check;
      throw new Error(
        `the certificate in Secret ${server.secret} ends at ${certificate.validTo}; whoever issued it or keeps the ` +
          "Secret has to renew it",
      );
    }
    const named = { secret: server.secret };
    const since = Date.parse(textsIn(secret.metadata.annotations)[sinceAnnotation] ?? "") || 0;
    const lasted = now().getTime() - since;

    if (next !== undefined) {
      if (await trust(server, [current.pair.cert, next.pair.cert])) {
        logger.info("API servers come to trust the next certificate of a webhook", named);
        await write(secret, {});
      } else if (lasted >= times.trust) {
        logger.info("a webhook gets its next certificate", { ...named, validTo: next.certificate.validTo });
        await write(secret, {
          "tls.crt": next.pair.cert,
          "tls.key": next.pair.key,
          [nextCert]: undefined,
          [nextKey]: undefined,
          [previousCert]: current.pair.cert,
        });
      }
      return times.step;
    }
    const previous = decoded(data[previousCert]);
    if (previous !== "") {
      await trust(server, [current.pair.cert]);
      if (lasted < times.retire) return times.step;
      await trust(server, [], previous);
      await write(secret, { [previousCert]: undefined });
      logger.info("the certificate of a webhook is renewed", named);
      return times.check;
    }
    if (await trust(server, [current.pair.cert])) {
      logger.info("API servers did not trust the certificate of a webhook; now they do", named);
    }
    if (!isDue(certificate, now())) return times.check;
    logger.info("the certificate of a webhook is renewed before it ends", { ...named, validTo: certificate.validTo });
    const made = await create(dnsNames(certificate), now());
    await write(secret, { [nextCert]: made.cert, [nextKey]: made.key });
    return 0;
  }

  async function keep(server: WebhookServer): Promise<void> {
    let reported: string | undefined;
    while (!stop.signal.aborted) {
      let pause: number;
      try {
        pause = await step(server);
        reported = undefined;
      } catch (error) {
        // Somebody else wrote meanwhile: the next look sees what.
        pause = hasStatus(error, 409) ? times.step : Math.min(4 * times.step, times.check);
        const reason = messageOf(error);
        if (!hasStatus(error, 409) && reason !== reported) {
          reported = reason;
          logger.error("the certificate of a webhook can't be renewed", { secret: server.secret, reason });
        }
      }
      await sleep(pause, stop.signal).catch(() => {});
    }
  }

  const running = Promise.all(servers.map(keep));
  return {
    async close() {
      stop.abort();
      await running;
    },
  };
}
