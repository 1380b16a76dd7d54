import { createPrivateKey, X509Certificate } from "node:crypto";
import { createServerCertificate } from "../../identity/server-certificate.js";
import type { InstallOptions } from "../../kubernetes/manifests/options.js";
import { type Pair, type Pairs, type ServerKey, serverKeys, tlsServers } from "../../kubernetes/manifests/pairs.js";
import { messageOf, UserError } from "../../lib/errors.js";
import type { PairTexts } from "./flags.js";

export interface PairRequest {
  readonly options: InstallOptions;
  readonly texts: PairTexts;
  /** The certificates of an installation, which are kept where `texts` has none. */
  readonly kept: Pairs | undefined;
  readonly now: Date;
  /** Hears what is odd about a certificate without making it unusable, a sentence at a time. */
  warn(sentence: string): void;
}

/** Longest common name of a certificate (RFC 5280, upper bounds). */
const longestCommonName = 64;

/**
 * The certificate of each server: the user's, the kept one, or a new one.
 * @throws UserError `install.half-pair` for a certificate without its key, `install.pair` for one that can't be used
 */
export async function installationPairs({ options, texts, kept, now, warn }: PairRequest): Promise<Pairs> {
  const given = serverKeys.map((server) => [server, givenPair(server, texts) ?? kept?.[server]] as const);
  for (const [server, pair] of given) {
    if (pair !== undefined) checkPair(server, pair, tlsServers[server].hosts(options), now, warn);
  }
  const pairs = await Promise.all(
    given.map(async ([server, pair]) => [server, pair ?? (await createPair(server, options, now))] as const),
  );
  return Object.fromEntries(pairs) as Record<ServerKey, Pair>;
}

function givenPair(server: ServerKey, texts: PairTexts): Pair | undefined {
  const [cert, key] = [texts[`${server}TlsCert`], texts[`${server}TlsKey`]].map((part) => part.trim());
  if (!cert && !key) return undefined;
  if (!cert || !key) throw UserError.of("install.half-pair", { server: tlsServers[server].title });
  return { cert: `${cert}\n`, key: `${key}\n` };
}

async function createPair(server: ServerKey, options: InstallOptions, now: Date): Promise<Pair> {
  const hosts = tlsServers[server].hosts(options);
  // A long name is in the SANs, where clients look.
  const commonName = hosts.find((host) => host.length <= longestCommonName) ?? "kuma";
  return createServerCertificate({ commonName, hosts, now });
}

/** Replaces OpenSSL's own error messages, which are of no help. */
function parsed<T>(what: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    throw new Error(`${what} is expected as PEM text`, { cause: error });
  }
}

function readPair({ cert, key }: Pair): X509Certificate {
  const certificate = parsed("a certificate", () => new X509Certificate(cert));
  const privateKey = parsed("a private key without a passphrase", () => createPrivateKey(key));
  if (!certificate.checkPrivateKey(privateKey)) throw new Error("the key does not belong to the certificate");
  return certificate;
}

function checkPair(
  server: ServerKey,
  pair: Pair,
  hosts: readonly string[],
  now: Date,
  warn: (sentence: string) => void,
): void {
  const { title } = tlsServers[server];
  const failed = (problem: string) => UserError.of("install.pair", { server: title, problem });
  let certificate: X509Certificate;
  try {
    certificate = readPair(pair);
  } catch (error) {
    throw failed(messageOf(error));
  }
  if (certificate.validToDate.getTime() <= now.getTime()) {
    throw failed(`the certificate expired at ${certificate.validToDate.toISOString()}`);
  }
  if (certificate.validFromDate.getTime() > now.getTime()) {
    warn(`${title}: the certificate is not valid before ${certificate.validFromDate.toISOString()}`);
  }
  // The API server asks for the first one; sidecars for the one that the control plane advertises.
  const missing = hosts.slice(0, 2).filter((host) => certificate.checkHost(host, { subject: "never" }) === undefined);
  if (missing.length > 0) warn(`${title}: the certificate has no subject alternative name ${missing.join(" or ")}`);
}
