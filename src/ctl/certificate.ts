import { createServerCertificate, type ServerCertificate } from "../identity/server-certificate.js";

export interface CertificateRequest {
  readonly usage: "client" | "server";
  /** DNS names and IP addresses, besides localhost. */
  readonly hosts: readonly string[];
  readonly now: Date;
}

/**
 * A self-signed certificate with its key, for the token server or for a client of it. It is no authority: who holds its
 * key must not be able to let others in.
 */
export function createCertificate({ usage, hosts, now }: CertificateRequest): Promise<ServerCertificate> {
  const names = [...hosts, "localhost"];
  const purpose = usage === "client" ? "clientAuth" : "serverAuth";
  return createServerCertificate({ commonName: "kuma", hosts: names, purpose, authority: false, now });
}
