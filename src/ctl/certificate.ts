import { createPrivateKey, createPublicKey, generateKeyPair, randomBytes } from "node:crypto";
import { isIP } from "node:net";
import { promisify } from "node:util";

export interface CertificateRequest {
  readonly usage: "client" | "server";
  /** DNS names and IP addresses. */
  readonly hosts: readonly string[];
  readonly now: Date;
}

export interface KeyPair {
  /** PEM; the key in its traditional `RSA PRIVATE KEY` form. */
  readonly key: string;
  readonly cert: string;
}

const years = 10;
/** Of subjectAltName, RFC 5280 4.2.1.6. */
const dnsName = 2;
const ipAddress = 7;

/** A positive serial number of 128 bits, in hexadecimal: a first byte of 1 to 127 keeps sign and length. */
function serialNumber(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x01;
  return bytes.toString("hex");
}

/** A self-signed certificate with its RSA-2048 key, for the token server or for a client of it. */
export async function createCertificate({ usage, hosts, now }: CertificateRequest): Promise<KeyPair> {
  const { default: forge } = await import("node-forge");
  const { privateKey } = await promisify(generateKeyPair)("rsa", {
    modulusLength: 2048,
    publicKeyEncoding: { type: "spki", format: "pem" },
    privateKeyEncoding: { type: "pkcs1", format: "pem" },
  });
  const publicKey = createPublicKey(createPrivateKey(privateKey)).export({ type: "spki", format: "pem" }).toString();
  const certificate = forge.pki.createCertificate();
  certificate.publicKey = forge.pki.publicKeyFromPem(publicKey);
  certificate.serialNumber = serialNumber();
  certificate.validity.notBefore = new Date(now);
  certificate.validity.notAfter = new Date(now);
  certificate.validity.notAfter.setUTCFullYear(now.getUTCFullYear() + years);
  const subject = [{ name: "commonName", value: "kuma" }];
  certificate.setSubject(subject);
  certificate.setIssuer(subject);
  certificate.setExtensions([
    { name: "basicConstraints", critical: true, cA: true },
    { name: "keyUsage", critical: true, keyEncipherment: true, digitalSignature: true, keyCertSign: true },
    { name: "extKeyUsage", serverAuth: true, clientAuth: usage === "client" },
    { name: "subjectAltName", altNames: [...new Set([...hosts, "localhost"])].map(altName) },
  ]);
  certificate.sign(forge.pki.privateKeyFromPem(privateKey), forge.md.sha256.create());
  return { key: privateKey, cert: forge.pki.certificateToPem(certificate).replaceAll("\r\n", "\n") };
}

function altName(host: string): object {
  return isIP(host) === 0 ? { type: dnsName, value: host } : { type: ipAddress, ip: host };
}
