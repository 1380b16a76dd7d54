import type { Manifest } from "./manifest.js";
import { type Pairs, serverKeys, tlsServers } from "./pairs.js";

const base64 = (text: string): string => Buffer.from(text).toString("base64");

/** The Secrets with the certificates of the TLS servers. */
export function secrets(namespace: string, pairs: Pairs): Manifest[] {
  return serverKeys.map((key) => ({
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name: tlsServers[key].secret, namespace },
    type: "kubernetes.io/tls",
    data: { "tls.crt": base64(pairs[key].cert), "tls.key": base64(pairs[key].key) },
  }));
}

/** The trust anchor of a webhook's server: its own certificate. */
export const caBundle = (pairs: Pairs, server: "admissionServer" | "injector"): string => base64(pairs[server].cert);
