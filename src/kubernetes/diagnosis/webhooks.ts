import { isIP } from "node:net";
import type { KubeClient } from "../../kubeapi/client.js";
import { objectIn, objectsIn, textIn } from "../fields.js";
import { webhookPort } from "../manifests/ports.js";
import type { WebhookServer } from "../webhook-names.js";
import { judgeCertificate } from "./certificate-trust.js";
import { presentedChain, type TlsPlace } from "./presented-chain.js";

/** A webhook configuration of the installation, or one of its webhooks. */
export interface WebhookStatus {
  readonly configuration: string;
  /** Absent if the configuration does not exist or has no webhooks. */
  readonly webhook?: string;
  /** Whom API servers call: `Service kuma-system/kuma-injector` or a URL. */
  readonly server?: string;
  /** Where the certificate is from: the server presented it, or it is in the Secret of the server. */
  readonly source?: string;
  /** RFC 3339, of the certificate. */
  readonly notBefore?: string;
  readonly notAfter?: string;
  /** Why API servers can't call it; validity aside. */
  readonly problem?: string;
}

/** How long a server has for its handshake, in milliseconds. */
const handshakeMs = 2_000;
/** More webhooks than ours in one of our configurations are somebody's own. */
const mostWebhooks = 20;

const decoded = (value: unknown) => Buffer.from(textIn(value), "base64").toString("utf8");

/** Where the API server connects, which is not where the name of a Service leads from elsewhere. */
interface Target {
  readonly text: string;
  readonly place: TlsPlace | undefined;
  /** Why there is no place. */
  readonly reason?: string;
  /** The name in the certificate. */
  readonly host: string;
}

interface Options {
  readonly client: Pick<KubeClient, "get">;
  readonly systemNamespace: string;
  readonly servers: readonly WebhookServer[];
  /** Whether this process runs in the cluster. Elsewhere the address of a Service leads nowhere, or to a stranger. */
  readonly inCluster: boolean;
}

/**
 * Looks at the webhook configurations of the installation as API servers do: whether they exist, and whether their
 * caBundle verifies the certificate that the server presents, or has in its Secret if it can't be reached from here.
 * @throws KubeError
 */
export async function readWebhooks(options: Options): Promise<readonly WebhookStatus[]> {
  const { client, systemNamespace, servers, inCluster } = options;

  async function targetOf(clientConfig: Readonly<Record<string, unknown>>): Promise<Target> {
    const url = URL.parse(textIn(clientConfig.url));
    if (url !== null) {
      const host = url.hostname.replace(/^\[|\]$/g, "");
      const servername = isIP(host) === 0 ? host : "";
      return { text: url.origin, host, place: { host, port: Number(url.port) || 443, servername } };
    }
    const { namespace, name, port } = objectIn(clientConfig.service);
    const at = { namespace: textIn(namespace), name: textIn(name) };
    const host = `${at.name}.${at.namespace}.svc`;
    const text = `Service ${at.namespace}/${at.name}`;
    const service = await client.get(
      { group: "", version: "v1", plural: "services", namespace: at.namespace },
      at.name,
    );
    if (service === undefined) return { text, host, place: undefined, reason: `${text} does not exist` };
    const address = textIn(objectIn(service.spec).clusterIP);
    if (address === "" || address === "None") return { text, host, place: undefined, reason: `${text} has no address` };
    if (!inCluster) return { text, host, place: undefined };
    const place = { host: address, port: typeof port === "number" ? port : webhookPort, servername: host };
    return { text, host, place };
  }

  async function chainOf({ place, reason = "Services can't be reached from here" }: Target, secret: string) {
    const presented = place === undefined ? { chain: undefined, reason } : await presentedChain(place, handshakeMs);
    if (presented.chain !== undefined) return { source: "the server", chain: presented.chain };
    const stored = await client.get(
      { group: "", version: "v1", plural: "secrets", namespace: systemNamespace },
      secret,
    );
    if (stored === undefined) return { reason: `${presented.reason}, and there is no Secret ${secret}` };
    return { source: `Secret ${secret}`, chain: decoded(objectIn(stored.data)["tls.crt"]) };
  }

  async function statusOf(
    configuration: string,
    { name, clientConfig }: Readonly<Record<string, unknown>>,
    secret: string,
  ): Promise<WebhookStatus> {
    const config = objectIn(clientConfig);
    const target = await targetOf(config);
    const known = { configuration, webhook: textIn(name), server: target.text };
    if (target.reason !== undefined) return { ...known, problem: target.reason };
    const found = await chainOf(target, secret);
    if (found.chain === undefined) return { ...known, problem: `its certificate is unknown: ${found.reason}` };
    const judged = judgeCertificate(found.chain, decoded(config.caBundle), target.host);
    const { problem } = judged;
    const rejected =
      problem === undefined ? {} : { problem: `its certificate, as ${found.source} has it, is rejected: ${problem}` };
    return { ...known, source: found.source, ...judged, ...rejected };
  }

  const found: WebhookStatus[] = [];
  for (const { secret, configurations } of servers) {
    for (const { plural, name } of configurations) {
      const object = await client.get({ group: "admissionregistration.k8s.io", version: "v1", plural }, name);
      const webhooks = objectsIn(object?.webhooks).slice(0, mostWebhooks);
      if (object === undefined) found.push({ configuration: name, problem: "it does not exist" });
      else if (webhooks.length === 0) found.push({ configuration: name, problem: "it has no webhooks" });
      for (const webhook of webhooks) found.push(await statusOf(name, webhook, secret));
    }
  }
  return found;
}
