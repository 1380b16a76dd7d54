import { createPrivateKey, X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import { UserError } from "../lib/errors.js";
import { type Secret, secretType } from "../resources/secret.js";
import { readStored } from "../store/read.js";
import { type Store, StoreError } from "../store/store.js";
import { createServerCertificate } from "./server-certificate.js";

/** The certificate and key of the SDS server, PEM. */
export interface ServerPair {
  readonly cert: string;
  readonly key: string;
}

const key = { type: "Secret", mesh: "", name: "sds-server-cert" };

const certificateBlock = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----\n?/;
const keyBlock = /-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]*-----END [A-Z ]*PRIVATE KEY-----\n?/;

/** Replaces OpenSSL's own error messages, which are of no help. */
function readable<T>(what: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new Error(`${what} can't be read`, { cause: error });
  }
}

/** @throws Error that describes the problem without exposing the key pair */
function check({ cert, key: pem }: ServerPair): void {
  if (cert === "") throw new Error("there is no certificate in PEM");
  if (pem === "") throw new Error("there is no private key in PEM");
  const certificate = readable("the certificate", () => new X509Certificate(cert));
  const privateKey = readable("the private key", () => createPrivateKey(pem));
  if (!certificate.checkPrivateKey(privateKey)) throw new Error("the private key does not belong to the certificate");
}

function read({ value = "" }: Secret): ServerPair {
  const text = Buffer.from(value, "base64").toString("latin1");
  const pair = { cert: certificateBlock.exec(text)?.[0] ?? "", key: keyBlock.exec(text)?.[0] ?? "" };
  try {
    check(pair);
    return pair;
  } catch (error) {
    throw UserError.of("sds-certificate.unusable", { secret: key.name, reason: error });
  }
}

/**
 * The certificate that every instance of the control plane presents: read from the store, or created for `hosts` if
 * there is none. It is the trust root in every proxy's TLS contexts, so a new one re-creates clusters and drains
 * listeners.
 * @throws UserError `sds-certificate.unusable` if the stored value is invalid
 */
export async function ensureSdsCertificate(store: Store, hosts: readonly string[], now: Date): Promise<ServerPair> {
  const stored = await readStored(store, secretType, key);
  if (stored !== undefined) return read(stored.spec);
  const made = await createServerCertificate({ commonName: "kuma-sds", hosts, now });
  const value = Buffer.from(made.cert + made.key).toString("base64");
  try {
    await store.create({ ...key, spec: { value } satisfies Secret });
  } catch (error) {
    if (error instanceof StoreError && error.kind === "already-exists") return ensureSdsCertificate(store, hosts, now);
    throw error;
  }
  return { cert: made.cert, key: made.key };
}

/** Whether a certificate (PEM) is valid for the host, as its clients will check. */
export function certificateNames(cert: string, host: string): boolean {
  const certificate = new X509Certificate(cert);
  const named = isIP(host) === 0 ? certificate.checkHost(host, { subject: "never" }) : certificate.checkIP(host);
  return named !== undefined;
}

/** A name in the certificate (PEM) that clients can verify, whatever address they connect to. */
export function firstName(cert: string): string | undefined {
  const { subjectAltName = "" } = new X509Certificate(cert);
  return /(?:^|, )(?:DNS|IP Address):([^,"*]+)(?:,|$)/.exec(subjectAltName)?.[1];
}
