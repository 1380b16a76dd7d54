import { UserError } from "../lib/errors.js";
import { serviceProblem, serviceUri } from "../resources/spiffe.js";
import { tagValueProblem } from "../resources/tags.js";
import type { SigningRoot } from "./authority.js";
import { distinguishedName, randomSerial, serialText, signCertificate, validity } from "./certificate.js";
import { type Element, encoded } from "./der.js";
import { authorityKeyIdentifier, basicConstraints, extendedKeyUsage, keyUsage, subjectAltName } from "./extensions.js";
import { createKeyPair, type KeyType } from "./key-pair.js";

export interface IdentityRequest {
  readonly mesh: string;
  /** The services of the proxy, in any order; duplicates count once. At least one. */
  readonly services: Iterable<string>;
  readonly keyType: KeyType;
  readonly now: Date;
  readonly validityMs: number;
}

/** A proxy's certificate and key; in memory only, never stored. */
export interface Identity {
  /** The services in the certificate, sorted, without duplicates. */
  readonly services: readonly string[];
  /** PEM. */
  readonly certificateChain: string;
  /** PKCS#8, PEM. */
  readonly privateKey: string;
  /** Hexadecimal, in capitals. */
  readonly serial: string;
  readonly notBefore: Date;
  readonly notAfter: Date;
}

const nobody = distinguishedName([]);
const leaf = basicConstraints({ authority: false });
const usages = {
  "ecdsa-p256": keyUsage("digitalSignature"),
  // RSA also needs the usage for the key exchange of TLS 1.2, which Envoy's TLS library is going to require.
  "rsa-2048": keyUsage("digitalSignature", "keyEncipherment"),
} as const satisfies Record<KeyType, Element>;
const bothSides = extendedKeyUsage("serverAuth", "clientAuth");

/** The parts that all certificates of a root share. */
interface Shared {
  readonly issuer: Element;
  readonly authorityKeyIdentifier: Element;
}

const cache = new WeakMap<SigningRoot, Shared>();

function sharedBy(root: SigningRoot): Shared {
  const known = cache.get(root);
  if (known !== undefined) return known;
  const made = { issuer: encoded(root.subject), authorityKeyIdentifier: authorityKeyIdentifier(root.keyId) };
  cache.set(root, made);
  return made;
}

function uris(mesh: string, services: readonly string[]): { readonly uri: string }[] {
  if (services.length === 0) throw UserError.of("identity.no-service");
  return services.map((service) => {
    const problem = tagValueProblem(service) ?? serviceProblem(service);
    if (problem === undefined) return { uri: serviceUri(mesh, service) };
    throw UserError.of("identity.service", { service, problem });
  });
}

/**
 * Creates a key and a certificate with all `services` of a proxy, valid from a minute ago to `validityMs` from now, but
 * not longer than `root`.
 * @throws UserError `identity.service` for a service that is not valid in a certificate, `identity.root` if `root` has
 * expired
 */
export async function issueIdentity(root: SigningRoot, request: IdentityRequest): Promise<Identity> {
  const { mesh, keyType, now, validityMs } = request;
  const services = [...new Set(request.services)].sort();
  const left = root.notAfter.getTime() - now.getTime();
  if (left <= 0) throw UserError.of("identity.root", { serial: root.serial, mesh, when: root.notAfter.toISOString() });
  const names = subjectAltName(uris(mesh, services), { critical: true });
  const { issuer, authorityKeyIdentifier } = sharedBy(root);
  const { publicKey, privateKey } = await createKeyPair(keyType);
  const { notBefore, notAfter } = validity(now, Math.min(validityMs, left));
  const serial = randomSerial();
  const extensions = [leaf, usages[keyType], bothSides, authorityKeyIdentifier, names];
  const fields = { serial, issuer, subject: nobody, notBefore, notAfter, publicKey, extensions };
  const certificateChain = signCertificate(fields, root.key);
  return { services, certificateChain, privateKey, serial: serialText(serial), notBefore, notAfter };
}
