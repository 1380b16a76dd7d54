import { createHash, createPrivateKey, createPublicKey, generateKeyPair, type KeyObject } from "node:crypto";
import { promisify } from "node:util";
import { UserError } from "../lib/errors.js";
import type { Secret } from "../resources/secret.js";
import { type Store, StoreError } from "../store/store.js";

/** What verifies a token. */
export interface VerificationKey {
  /** Its thumbprint, which every token that it verifies carries. */
  readonly kid: string;
  readonly publicKey: KeyObject;
}

/** What signs tokens: the RSA key that all instances of a control plane share. */
export interface SigningKey extends VerificationKey {
  readonly privateKey: KeyObject;
}

/** It belongs to no mesh, so that no deletion of a mesh, `default` included, makes tokens worthless. */
const key = { type: "Secret", mesh: "", name: "dataplane-token-signing-key" };

/** RS256 takes nothing shorter, RFC 7518 3.3. */
const modulusBits = 2048;

/** The thumbprint of RFC 7638: SHA-256 over the members that make up the key, in alphabetical order. */
function thumbprint(publicKey: KeyObject): string {
  const { e, kty, n } = publicKey.export({ format: "jwk" });
  return createHash("sha256").update(JSON.stringify({ e, kty, n })).digest("base64url");
}

/** A new RSA key as PKCS#1 DER. Made off the event loop: it takes a tenth of a second. */
async function generate(): Promise<Buffer> {
  const { privateKey } = await promisify(generateKeyPair)("rsa", {
    modulusLength: modulusBits,
    publicKeyEncoding: { type: "spki", format: "der" },
    privateKeyEncoding: { type: "pkcs1", format: "der" },
  });
  return privateKey;
}

/** @throws Error that says what is wrong with the bytes, and never shows them */
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
 * The signing key of the store, which is made when there is none yet. When several instances start at once, the
 * first one's key is everybody's.
 * @throws UserError `signing-key.unusable` when the store holds something else in its place
 */
export async function ensureSigningKey(store: Store): Promise<SigningKey> {
  const stored = await store.get(key);
  if (stored !== undefined) return read(stored.spec as Secret);
  const der = await generate();
  try {
    await store.create({ ...key, spec: { value: der.toString("base64") } satisfies Secret });
  } catch (error) {
    if (error instanceof StoreError && error.kind === "already-exists") return ensureSigningKey(store);
    throw error;
  }
  return parse(der);
}
