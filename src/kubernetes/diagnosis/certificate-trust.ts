import { X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import { messageOf } from "../../lib/errors.js";
import { pemBlocks } from "../webhook-certificates.js";

/** Longer chains are no chains of webhooks. */
const longestChain = 10;

/** The certificates of a PEM text; a text without any, or with a malformed one, is a problem. */
function certificatesIn(pem: string): readonly X509Certificate[] | string {
  const blocks = pemBlocks(pem);
  if (blocks.length === 0) return "there is no certificate in it";
  try {
    return blocks.map((block) => new X509Certificate(block));
  } catch (error) {
    return `a certificate in it can't be read: ${messageOf(error)}`;
  }
}

const issued = (certificate: X509Certificate, by: X509Certificate): boolean =>
  certificate.checkIssued(by) && certificate.verify(by.publicKey);

/** Whether one of the anchors is the certificate, or has issued it, with the others of its chain in between. */
function isTrusted(chain: readonly X509Certificate[], anchors: readonly X509Certificate[]): boolean {
  let [current, ...others] = chain.slice(0, longestChain);
  while (current !== undefined) {
    const certificate = current;
    const ends = (anchor: X509Certificate) =>
      anchor.fingerprint256 === certificate.fingerprint256 || issued(certificate, anchor);
    if (anchors.some(ends)) return true;
    current = others.find((other) => other.fingerprint256 !== certificate.fingerprint256 && issued(certificate, other));
    others = others.filter((other) => other !== current);
  }
  return false;
}

/** A server's certificate, as its clients judge it. */
export interface JudgedCertificate {
  /** RFC 3339; absent if there is no certificate that can be read. */
  readonly notBefore?: string;
  readonly notAfter?: string;
  /** Why a client rejects it, apart from its validity; completes "the certificate …: ". */
  readonly problem?: string;
}

/**
 * Judges the certificate chain of a webhook's server as API servers do.
 * @param chain PEM, the server's certificate first
 * @param caBundle PEM
 * @param host the DNS name or the address that the API server expects
 */
export function judgeCertificate(chain: string, caBundle: string, host: string): JudgedCertificate {
  const certificates = certificatesIn(chain);
  if (typeof certificates === "string") return { problem: certificates };
  const [own] = certificates;
  if (own === undefined) return { problem: "there is no certificate in it" };
  const validity = { notBefore: own.validFromDate.toISOString(), notAfter: own.validToDate.toISOString() };
  const anchors = certificatesIn(caBundle);
  if (typeof anchors === "string") return { ...validity, problem: `the caBundle is of no use: ${anchors}` };
  if (!isTrusted(certificates, anchors))
    return { ...validity, problem: "no certificate in the caBundle has issued it" };
  if ((isIP(host) === 0 ? own.checkHost(host, { subject: "never" }) : own.checkIP(host)) === undefined) {
    return { ...validity, problem: `it is for other names than ${host}: ${own.subjectAltName ?? "none"}` };
  }
  return validity;
}
