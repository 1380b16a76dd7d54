import { createPrivateKey } from "node:crypto";
import { distinguishedName, keyIdentifier, randomSerial, signCertificate, tenYears } from "./certificate.js";
import { basicConstraints, keyUsage, subjectAltName, subjectKeyIdentifier } from "./extensions.js";
import { createKeyPair, type KeyType } from "./key-pair.js";

/** A self-signed root certificate of a mesh, with its key. */
export interface Root {
  /** PEM. */
  readonly cert: string;
  /** PKCS#8, PEM. */
  readonly key: string;
}

export interface RootRequest {
  readonly mesh: string;
  readonly keyType: KeyType;
  readonly now: Date;
}

/**
 * Creates a root for a mesh, valid for ten years. All roots of a mesh have the same name but different key identifiers.
 */
export async function createRoot({ mesh, keyType, now }: RootRequest): Promise<Root> {
  const { publicKey, privateKey } = await createKeyPair(keyType);
  const name = distinguishedName([
    ["organization", "Kuma"],
    ["organizationalUnit", "Mesh"],
    ["commonName", mesh],
  ]);
  const extensions = [
    basicConstraints({ authority: true }),
    keyUsage("certSign", "crlSign"),
    subjectKeyIdentifier(keyIdentifier(publicKey)),
    subjectAltName([{ uri: `spiffe://${mesh}` }], { critical: false }),
  ];
  const fields = { serial: randomSerial(), issuer: name, subject: name, ...tenYears(now), publicKey, extensions };
  return { cert: signCertificate(fields, createPrivateKey(privateKey)), key: privateKey };
}
