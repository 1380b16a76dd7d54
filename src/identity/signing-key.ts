import { createHash, createPrivateKey, createPublicKey, generateKeyPair, type KeyObject } from "node:crypto";
import { promisify } from "node:util";
import { UserError } from "../lib/errors.js";
import { type Secret, secretType } from "../resources/secret.js";
import { readStored } from "../store/read.js";
import { type Store, StoreError } from "../store/store.js";

/** A public key that verifies tokens. */
export interface VerificationKey {
  /** Its thumbprint; tokens name it in their header. */
  readonly kid: string;
  readonly publicKey: KeyObject;
}

/** The RSA key that signs tokens, shared by all instances of a control plane. */
export interface SigningKey extends VerificationKey {
  readonly privateKey: KeyObject;
}

/** It belongs to no mesh, so that deleting a mesh, even `default`, does not invalidate tokens. */
const key = { type: "Secret", mesh: "", name: "dataplane-token-signing-key" };

/** The minimum for RS256 (RFC 7518, 3.3). */
const modulusBits = 2048;

/** The thumbprint of RFC 7638: SHA-256 over the required members of the key, in alphabetical order. */
function thumbprint(publicKey: KeyObject): string {
  const { e, kty, n } = publicKey.export({ format: "jwk" });
  return createHash("sha256").update(JSON.stringify({ e, kty, n })).digest("base64url");
}

/** A new RSA key as PKCS#1 DER. Generated off the event loop: it takes a tenth of a second. */
async function generate(): Promise<Buffer> {
  const { privateKey } = await promisify(generateKeyPair)("rsa", {
    modulusLength: modulusBits,
    publicKeyEncoding: { type: "spki", format: "der" },
    privateKeyEncoding: { type: "pkcs1", format: "der" },
  });
  return privateKey;
}

/** @throws Error that describes the problem without exposing the bytes */
function parse(der: Buffer): SigningKey {
  const privateKey = createPrivateKey({ key: der, format: "der", type: "pkcs1" });
  const bits = privateKey.asymmetricKeyDetails?.modulusLength ?? 0;
  if (bits < modulusBits) throw new Error(`the key has ${bits} bits, fewer than ${modulusBits}`);
  const publicKey = createPublicKey(privateKey);
  return { kid: thumbprint(publicKey), privateKey, publicKey };
}

function read({ value = "" }: Secret): SigningKey {
  try {
    return parse(Buffer.from(value, "base64"));
  } catch (error) {
    throw UserError.of("signing-key.unusable", { secret: key.name, reason: error });
  }
}

/**
 * Reads the signing key from the store, and creates it if there is none. If several instances start at once, all use
 * the key of the first one.
 * @throws UserError `signing-key.unusable` if the stored value is invalid
 */
export async function ensureSigningKey(store: Store): Promise<SigningKey> {
  const stored = await readStored(store, secretType, key);
  if (stored !== undefined) return read(stored.spec);
  const der = await generate();
  try {
    await store.create({ ...key, spec: { value: der.toString("base64") } satisfies Secret });
  } catch (error) {
    if (error instanceof StoreError && error.kind === "already-exists") return ensureSigningKey(store);
    throw error;
  }
  return parse(der);
}
