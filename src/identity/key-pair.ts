import { generateKeyPair, generateKeyPairSync } from "node:crypto";
import { promisify } from "node:util";

/** Key types of a mesh's certificates. */
export type KeyType = "ecdsa-p256" | "rsa-2048";

export interface KeyPair {
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKey: Buffer;
  /** PKCS#8, PEM. */
  readonly privateKey: string;
}

const publicKeyEncoding = { type: "spki", format: "der" } as const;
const privateKeyEncoding = { type: "pkcs8", format: "pem" } as const;

/** An RSA key takes some 50 ms, off the event loop; a P-256 key is faster than the switch to another thread. */
export async function createKeyPair(type: KeyType): Promise<KeyPair> {
  if (type === "ecdsa-p256") {
    return generateKeyPairSync("ec", { namedCurve: "P-256", publicKeyEncoding, privateKeyEncoding });
  }
  return promisify(generateKeyPair)("rsa", { modulusLength: 2048, publicKeyEncoding, privateKeyEncoding });
}
