import { generateKeyPairSync } from "node:crypto";
import forge from "node-forge";

export interface IssuedCertificate {
  /** PEM. */
  readonly cert: string;
  readonly key: string;
}

interface Issue {
  readonly name: string;
  /** The issuing CA; without one the certificate is a CA certificate itself. */
  readonly by?: IssuedCertificate;
  /** DNS names or IP addresses. */
  readonly hosts?: readonly string[];
}

let serial = 1;

/** Creates an RSA certificate that is valid for a day. */
export function issueCertificate({ name, by, hosts = [] }: Issue): IssuedCertificate {
  const { privateKey, publicKey } = generateKeyPairSync("rsa", {
    modulusLength: 2048,
    privateKeyEncoding: { type: "pkcs1", format: "pem" },
    publicKeyEncoding: { type: "spki", format: "pem" },
  });
  const certificate = forge.pki.createCertificate();
  certificate.publicKey = forge.pki.publicKeyFromPem(publicKey);
  certificate.serialNumber = (serial++).toString(16).padStart(2, "0");
  certificate.validity.notBefore = new Date(Date.now() - 60_000);
  certificate.validity.notAfter = new Date(Date.now() + 86_400_000);
  certificate.setSubject([{ name: "commonName", value: name }]);
  certificate.setIssuer(
    by === undefined ? certificate.subject.attributes : forge.pki.certificateFromPem(by.cert).subject.attributes,
  );
  const isIp = (host: string) => /^[\d.]+$/.test(host);
  certificate.setExtensions([
    { name: "basicConstraints", cA: by === undefined },
    ...(hosts.length === 0
      ? []
      : [
          {
            name: "subjectAltName",
            altNames: hosts.map((host) => (isIp(host) ? { type: 7, ip: host } : { type: 2, value: host })),
          },
        ]),
  ]);
  certificate.sign(forge.pki.privateKeyFromPem(by?.key ?? privateKey), forge.md.sha256.create());
  return { cert: forge.pki.certificateToPem(certificate), key: privateKey };
}
