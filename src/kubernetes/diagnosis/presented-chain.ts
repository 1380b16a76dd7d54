import type { X509Certificate } from "node:crypto";
import tls from "node:tls";
import { messageOf } from "../../lib/errors.js";

/** Where a server listens, and the DNS name by which its client asks for it; empty for none. */
export interface TlsPlace {
  readonly host: string;
  readonly port: number;
  readonly servername: string;
}

/** Issuers that a server sent; a certificate that names itself as issuer ends the chain. */
const longestChain = 10;

function chainOf(socket: tls.TLSSocket): string {
  const blocks: string[] = [];
  for (
    let certificate: X509Certificate | undefined = socket.getPeerX509Certificate();
    certificate !== undefined && blocks.length < longestChain;
    certificate = certificate.issuerCertificate
  ) {
    blocks.push(certificate.toString());
    if (certificate.checkIssued(certificate)) break;
  }
  return blocks.join("");
}

/**
 * The certificates that a server presents, PEM, its own first. Nothing is sent to it, and nothing it sends is trusted.
 * @returns undefined with the reason if there is no handshake within the time
 */
export function presentedChain(
  { host, port, servername }: TlsPlace,
  timeoutMs: number,
): Promise<{ readonly chain: string } | { readonly chain: undefined; readonly reason: string }> {
  return new Promise((resolve) => {
    const named = servername === "" ? {} : { servername };
    const socket = tls.connect({ host, port, ...named, rejectUnauthorized: false, minVersion: "TLSv1.2" });
    const end = (result: { chain: string } | { chain: undefined; reason: string }) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(result);
    };
    const timer = setTimeout(() => {
      end({ chain: undefined, reason: `no TLS handshake within ${timeoutMs / 1_000} s` });
    }, timeoutMs);
    socket.on("error", (error) => end({ chain: undefined, reason: messageOf(error) }));
    socket.on("close", () => end({ chain: undefined, reason: "the connection was closed" }));
    socket.on("secureConnect", () => end({ chain: chainOf(socket) }));
  });
}
