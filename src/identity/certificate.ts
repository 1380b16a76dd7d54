import { createHash, type KeyObject, randomBytes, sign } from "node:crypto";
import {
  bits,
  type Element,
  encoded,
  explicit,
  integer,
  nothing,
  oid,
  sequence,
  set,
  time,
  toDer,
  utf8,
} from "./der.js";

export interface Certificate {
  readonly serial: Buffer;
  readonly issuer: Element;
  readonly subject: Element;
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKey: Buffer;
  readonly extensions: readonly Element[];
}

/** Tolerated clock skew: a certificate is already valid on a machine whose clock is this far behind. */
const backdatingMs = 60_000;

const wholeSeconds = (ms: number): Date => new Date(Math.floor(ms / 1000) * 1000);

/** A validity from a minute ago to `lengthMs` from now, in whole seconds, the resolution of certificates. */
export function validity(now: Date, lengthMs: number): { notBefore: Date; notAfter: Date } {
  return { notBefore: wholeSeconds(now.getTime() - backdatingMs), notAfter: wholeSeconds(now.getTime() + lengthMs) };
}

/** A validity from a minute ago to ten years from now. */
export function tenYears(now: Date): { notBefore: Date; notAfter: Date } {
  const end = new Date(now);
  end.setUTCFullYear(now.getUTCFullYear() + 10);
  return validity(now, end.getTime() - now.getTime());
}

/** A positive number of 16 bytes: a first byte of 1 to 127 ensures sign and length. */
export function randomSerial(): Buffer {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x01;
  return bytes;
}

/** A serial number in the format of node:crypto and openssl. */
export const serialText = (serial: Buffer): string => serial.toString("hex").toUpperCase();

/** The subject key identifier (RFC 7093, 2, method 4, in the usual length). */
export const keyIdentifier = (publicKey: Buffer): Buffer =>
  createHash("sha256").update(publicKey).digest().subarray(0, 20);

const attributes = { commonName: "2.5.4.3", organization: "2.5.4.10", organizationalUnit: "2.5.4.11" } as const;
type Attribute = keyof typeof attributes;

/** A distinguished name, most general attribute first; empty without attributes. */
export function distinguishedName(parts: readonly (readonly [attribute: Attribute, value: string])[]): Element {
  const names = parts.map(([attribute, value]) => set(sequence(oid(attributes[attribute]), utf8(value))));
  return encoded(toDer(sequence(...names)));
}

const constant = (element: Element): Element => encoded(toDer(element));
const version3 = constant(explicit(0, integer(Buffer.of(2))));
const ecdsaWithSha256 = constant(sequence(oid("1.2.840.10045.4.3.2")));
const sha256WithRsa = constant(sequence(oid("1.2.840.113549.1.1.11"), nothing()));

export function pem(label: string, der: Buffer): string {
  const lines = der.toString("base64").replace(/.{64}(?=.)/g, "$&\n");
  return `-----BEGIN ${label}-----\n${lines}\n-----END ${label}-----\n`;
}

/** Signs a certificate with an EC P-256 or RSA key and SHA-256; returns PEM. */
export function signCertificate(certificate: Certificate, key: KeyObject): string {
  const algorithm = key.asymmetricKeyType === "ec" ? ecdsaWithSha256 : sha256WithRsa;
  const toBeSigned = toDer(
    sequence(
      version3,
      integer(certificate.serial),
      algorithm,
      certificate.issuer,
      sequence(time(certificate.notBefore), time(certificate.notAfter)),
      certificate.subject,
      encoded(certificate.publicKey),
      explicit(3, sequence(...certificate.extensions)),
    ),
  );
  const signature = sign("sha256", toBeSigned, key);
  return pem("CERTIFICATE", toDer(sequence(encoded(toBeSigned), algorithm, bits(signature))));
}
