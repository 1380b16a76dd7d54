import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { UserError } from "../lib/errors.js";
import { keyIdentifier } from "./certificate.js";
import { bytesOf, fromDer, isOid, isTagged, partsOf, toDer } from "./der.js";
import { extensionIds } from "./extensions.js";

/** A root certificate of a mesh with its key, ready to sign. */
export interface SigningRoot {
  /** The certificate, PEM, ending in a line break. */
  readonly pem: string;
  readonly key: KeyObject;
  /** Hexadecimal, in capitals. */
  readonly serial: string;
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** SHA-256 of the certificate, in hexadecimal with colons. */
  readonly fingerprint: string;
  /** The distinguished name, DER. */
  readonly subject: Buffer;
  readonly keyId: Buffer;
}

/** The certificate authority of a mesh: the first root signs, all are trusted. */
export interface Authority {
  readonly roots: readonly [SigningRoot, ...SigningRoot[]];
  /** The certificates of all roots, PEM, one after the other. */
  readonly bundle: string;
}

/** The error never contains the value, which may be a key. */
export function unusable(field: string, problem: string): UserError {
  return UserError.of(
    "authority.unusable",
    { part: field || "it", problem },
    { causes: [{ field, message: problem }] },
  );
}

/** Decodes a base64 member that contains one PEM object. */
function decoded(entry: object, member: "cert" | "key", path: string): string {
  const value: unknown = Reflect.get(entry, member);
  const field = `${path}.${member}`;
  if (value === undefined || value === "") throw unusable(field, "is missing");
  const text = typeof value === "string" ? Buffer.from(value, "base64").toString("latin1") : "";
  const count = text.split("-----BEGIN ").length - 1;
  if (count === 0) throw unusable(field, "has to be PEM in base64");
  // An EC key may be preceded by its parameters.
  if (count > 1 && member === "cert") throw unusable(field, `has to be one certificate, not ${count} PEM objects`);
  return text;
}

function readKey(text: string, field: string): KeyObject {
  let key: KeyObject;
  try {
    key = createPrivateKey(text);
  } catch {
    throw unusable(field, "is no private key without a passphrase, in PEM (PKCS#8, PKCS#1 or SEC1)");
  }
  const { namedCurve, modulusLength = 0 } = key.asymmetricKeyDetails ?? {};
  const fits = key.asymmetricKeyType === "ec" ? namedCurve === "prime256v1" : key.asymmetricKeyType === "rsa";
  if (!fits) throw unusable(field, "has to be an ECDSA P-256 or an RSA key");
  // Envoy's TLS library rejects shorter keys.
  if (key.asymmetricKeyType === "rsa" && modulusLength < 2048) {
    throw unusable(field, `is an RSA key of ${modulusLength} bits; it needs 2048 or more`);
  }
  return key;
}

/** Fields of a certificate (DER) that node:crypto does not expose: the encoded subject and the key identifier. */
function fieldsOf(certificate: Buffer): { readonly subject: Buffer; readonly keyId: Buffer | undefined } {
  const [toBeSigned] = partsOf(fromDer(certificate));
  // The subject follows version, serial number, algorithm, issuer and validity.
  const parts = toBeSigned === undefined ? [] : partsOf(toBeSigned);
  const subject = parts[5];
  const list = parts.find((part) => isTagged(part, 3));
  if (subject === undefined || list === undefined) throw new Error("an X.509 certificate without version 3 fields");
  const extensions = partsOf(list).flatMap(partsOf).map(partsOf);
  const value = extensions.find(([id]) => id !== undefined && isOid(id, extensionIds.subjectKeyIdentifier))?.at(-1);
  // An octet string in an octet string, each with one byte of tag and one of length.
  return { subject: toDer(subject), keyId: value === undefined ? undefined : bytesOf(value).subarray(2) };
}

function readRoot(entry: unknown, path: string): SigningRoot {
  if (typeof entry !== "object" || entry === null) throw unusable(path, 'has to be {"cert": …, "key": …}');
  const text = decoded(entry, "cert", path);
  const key = readKey(decoded(entry, "key", path), `${path}.key`);
  const field = `${path}.cert`;
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(text);
  } catch {
    throw unusable(field, "is no X.509 certificate");
  }
  const { raw, serialNumber, publicKey } = certificate;
  if (!certificate.checkPrivateKey(key)) throw unusable(`${path}.key`, "does not belong to the certificate beside it");
  if (!certificate.ca) {
    throw unusable(field, "is no certificate of an authority: that has CA:TRUE, and certSign where it has a keyUsage");
  }
  if (!certificate.checkIssued(certificate) || !certificate.verify(publicKey)) {
    throw unusable(field, "is not self-signed, so that no peer could trust it by itself");
  }
  const { subject, keyId } = fieldsOf(raw);
  return {
    pem: certificate.toString(),
    key,
    serial: serialNumber,
    notBefore: certificate.validFromDate,
    notAfter: certificate.validToDate,
    fingerprint: certificate.fingerprint256,
    subject,
    keyId: keyId ?? keyIdentifier(publicKey.export({ type: "spki", format: "der" })),
  };
}

/**
 * Reads the value of the Secret `builtinca.<mesh>`: `{"roots": [{"cert": …, "key": …}, …]}` with PEM in base64. Other
 * members are ignored.
 * @throws UserError `authority.unusable`; its message and its only cause name the invalid field, such as `roots[1].key`
 */
export function readAuthority(value: Buffer | string): Authority {
  let document: unknown;
  try {
    document = JSON.parse(value.toString());
  } catch {
    throw unusable("", "is no JSON");
  }
  const entries: unknown =
    typeof document === "object" && document !== null ? Reflect.get(document, "roots") : undefined;
  if (!Array.isArray(entries)) throw unusable("roots", "has to be a list");
  const [first, ...rest] = entries.map((entry, index) => readRoot(entry, `roots[${index}]`));
  if (first === undefined) throw unusable("roots", "has to hold at least one root");
  const roots = [first, ...rest] as const;
  return { roots, bundle: roots.map(({ pem }) => pem).join("") };
}
