import { createServerCertificate, type ServerCertificate } from "../identity/server-certificate.js";

export interface CertificateRequest {
  readonly usage: "client" | "server";
  /** DNS names and IP addresses, besides localhost. */
  readonly hosts: readonly string[];
  readonly now: Date;
}

/** A self-signed certificate with its key, for the token server or for a client of it. */
export function createCertificate({ usage, hosts, now }: CertificateRequest): Promise<ServerCertificate> {
  const names = [...hosts, "localhost"];
  return createServerCertificate({ commonName: "kuma", hosts: names, clientAuth: usage === "client", now });
}
