import { createPrivateKey } from "node:crypto";
import { isIP } from "node:net";
import { UserError } from "../lib/errors.js";
import { distinguishedName, keyIdentifier, randomSerial, signCertificate, tenYears } from "./certificate.js";
import {
  type AltName,
  basicConstraints,
  extendedKeyUsage,
  keyUsage,
  subjectAltName,
  subjectKeyIdentifier,
} from "./extensions.js";
import { createKeyPair } from "./key-pair.js";

export interface ServerCertificateRequest {
  readonly commonName: string;
  /** DNS names and IP addresses, in the order of the SANs; duplicates count once. At least one. */
  readonly hosts: Iterable<string>;
  /** Extended key usage; default: server. */
  readonly purpose?: "serverAuth" | "clientAuth";
  /** Whether it is a CA; true by default, so that peers can use it as a trust anchor. */
  readonly authority?: boolean;
  readonly now: Date;
}

export interface ServerCertificate {
  /** PEM; the key in its traditional `RSA PRIVATE KEY` form. */
  readonly key: string;
  /** PEM. */
  readonly cert: string;
}

function altName(host: string): AltName {
  // A zone, as in fe80::1%eth0, is meaningful on one machine only and not part of the address.
  if (/^[\x21-\x7e]+$/.test(host) && !host.includes("%")) return isIP(host) === 0 ? { dns: host } : { ip: host };
  throw UserError.of("certificate.host", { host });
}

/**
 * A self-signed certificate with its RSA-2048 key, valid for ten years. Peers use it as their trust anchor.
 * @throws UserError `certificate.host` for a host that is not valid in a certificate
 */
export async function createServerCertificate(request: ServerCertificateRequest): Promise<ServerCertificate> {
  const { commonName, hosts, purpose = "serverAuth", authority = true, now } = request;
  const distinct = [...new Set(hosts)];
  if (distinct.length === 0) throw UserError.of("certificate.no-host");
  const names = subjectAltName(distinct.map(altName), { critical: false });
  const { publicKey, privateKey } = await createKeyPair("rsa-2048");
  const key = createPrivateKey(privateKey);
  const name = distinguishedName([["commonName", commonName]]);
  const extensions = [
    basicConstraints({ authority }),
    keyUsage("digitalSignature", "keyEncipherment", ...(authority ? (["certSign"] as const) : [])),
    extendedKeyUsage(purpose),
    subjectKeyIdentifier(keyIdentifier(publicKey)),
    names,
  ];
  const fields = { serial: randomSerial(), issuer: name, subject: name, ...tenYears(now), publicKey, extensions };
  return { cert: signCertificate(fields, key), key: key.export({ type: "pkcs1", format: "pem" }).toString() };
}
