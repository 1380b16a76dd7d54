// Certificate extensions, RFC 5280, 4.2.1.
import { isIP } from "node:net";
import util from "node-forge/lib/util.js";
import { bits, type Element, encoded, octets, oid, sequence, tagged, toDer, yes } from "./der.js";

export const extensionIds = {
  subjectKeyIdentifier: "2.5.29.14",
  keyUsage: "2.5.29.15",
  subjectAltName: "2.5.29.17",
  basicConstraints: "2.5.29.19",
  authorityKeyIdentifier: "2.5.29.35",
  extendedKeyUsage: "2.5.29.37",
} as const;

/** Bit numbers, from the left. */
const keyUsages = { digitalSignature: 0, keyEncipherment: 2, certSign: 5, crlSign: 6 } as const;
export type KeyUsage = keyof typeof keyUsages;

const purposes = { serverAuth: "1.3.6.1.5.5.7.3.1", clientAuth: "1.3.6.1.5.5.7.3.2" } as const;
export type Purpose = keyof typeof purposes;

/** A subject alternative name. */
export type AltName = { readonly uri: string } | { readonly dns: string } | { readonly ip: string };

function extension(id: keyof typeof extensionIds, critical: boolean, value: Element): Element {
  const flag = critical ? [yes()] : [];
  // Encoded already: most extensions are created once and used in many certificates.
  return encoded(toDer(sequence(oid(extensionIds[id]), ...flag, octets(toDer(value)))));
}

/** Critical. DER omits default values, and the default is not a CA. */
export const basicConstraints = ({ authority }: { readonly authority: boolean }): Element =>
  extension("basicConstraints", true, authority ? sequence(yes()) : sequence());

/** Critical. */
export function keyUsage(...usages: readonly KeyUsage[]): Element {
  const numbers = usages.map((usage) => keyUsages[usage]);
  const byte = numbers.reduce<number>((sum, number) => sum | (0x80 >> number), 0);
  // DER truncates a bit list after its last 1.
  return extension("keyUsage", true, bits(Buffer.of(byte), 7 - Math.max(...numbers)));
}

export const extendedKeyUsage = (...wanted: readonly Purpose[]): Element =>
  extension("extendedKeyUsage", false, sequence(...wanted.map((purpose) => oid(purposes[purpose]))));

export const subjectKeyIdentifier = (keyId: Buffer): Element => extension("subjectKeyIdentifier", false, octets(keyId));

export const authorityKeyIdentifier = (keyId: Buffer): Element =>
  extension("authorityKeyIdentifier", false, sequence(tagged(0, keyId)));

/** Rejects non-ASCII text, which would be encoded as another name. */
function ascii(text: string): Buffer {
  for (let index = 0; index < text.length; index++) {
    if (text.charCodeAt(index) > 0x7f) throw new RangeError(`"${text}" is not ASCII`);
  }
  return Buffer.from(text, "latin1");
}

function addressBytes(ip: string): Buffer {
  // A URL normalizes an IPv6 address, even with an IPv4 suffix, to a form that node-forge reads.
  const address = isIP(ip) === 6 ? new URL(`http://[${ip}]`).hostname.slice(1, -1) : ip;
  const bytes = isIP(ip) === 0 ? null : util.bytesFromIP(address);
  if (bytes === null) throw new RangeError(`"${ip}" is no IP address`);
  return Buffer.from(bytes, "latin1");
}

function generalName(name: AltName): Element {
  if ("uri" in name) return tagged(6, ascii(name.uri));
  if ("dns" in name) return tagged(2, ascii(name.dns));
  return tagged(7, addressBytes(name.ip));
}

/** Must be critical if the subject is empty. */
export const subjectAltName = (names: readonly AltName[], { critical }: { readonly critical: boolean }): Element =>
  extension("subjectAltName", critical, sequence(...names.map(generalName)));
