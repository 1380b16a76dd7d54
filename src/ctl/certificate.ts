import { createServerCertificate, type ServerCertificate } from "../identity/server-certificate.js";

export interface CertificateRequest {
  readonly usage: "client" | "server";
  /** DNS names and IP addresses in addition to localhost. */
  readonly hosts: readonly string[];
  readonly now: Date;
}

/**
 * Creates a self-signed certificate and key for the token server or one of its clients. It is not a CA certificate:
 * whoever has its key must not be able to admit others.
 */
export function createCertificate({ usage, hosts, now }: CertificateRequest): Promise<ServerCertificate> {
  const names = [...hosts, "localhost"];
  const purpose = usage === "client" ? "clientAuth" : "serverAuth";
  return createServerCertificate({ commonName: "kuma", hosts: names, purpose, authority: false, now });
}
