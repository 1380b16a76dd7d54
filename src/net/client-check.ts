import type { X509Certificate } from "node:crypto";
import type { TLSSocket } from "node:tls";

/** Decides which clients a TLS server accepts. */
export interface ClientCheck {
  /** PEM: the certificates accepted as issuers of client certificates. */
  readonly ca: string[];
  /** Why this client is rejected, for our log; undefined when it is accepted. */
  refusal(socket: TLSSocket, now: Date): string | undefined;
}

/** clientAuth of RFC 5280 4.2.1.12. */
const clientPurpose = "1.3.6.1.5.5.7.3.2";

/**
 * Accepts clients whose certificate is one of the given ones or was issued by one of them. We have to check the first
 * case ourselves: among several trusted certificates with the same subject, such as those that kumactl generates,
 * OpenSSL compares a self-signed one with the first only.
 */
export function createClientCheck(trusted: readonly X509Certificate[]): ClientCheck {
  const fingerprints = new Set(trusted.map(({ fingerprint256 }) => fingerprint256));
  return {
    ca: trusted.map(String),
    refusal(socket, now) {
      if (socket.authorized) return undefined;
      const certificate = socket.getPeerX509Certificate();
      if (certificate === undefined) return "it presented no certificate";
      if (!fingerprints.has(certificate.fingerprint256)) {
        // An OpenSSL error code, although it is declared as an Error.
        return `its certificate was issued by none of those accepted (${socket.authorizationError})`;
      }
      return unusable(certificate, now);
    },
  };
}

function unusable({ validFromDate, validToDate, keyUsage }: X509Certificate, now: Date): string | undefined {
  if (now < validFromDate) return `its certificate is not valid before ${validFromDate.toISOString()}`;
  if (now > validToDate) return `its certificate expired at ${validToDate.toISOString()}`;
  // A certificate without extended key usages is valid for any purpose. Node calls the list keyUsage.
  const forClients = keyUsage === undefined || keyUsage.includes(clientPurpose);
  return forClients ? undefined : "its certificate is not one for clients";
}
