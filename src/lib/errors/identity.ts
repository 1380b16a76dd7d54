import { failure } from "./entry.js";

/** Tokens, certificates and certificate authorities. */
export const identityErrors = {
  "token.unreadable": failure`could not read file ${"file"}: ${"reason"}`,
  "token.fifo": failure`file ${"file"} is a FIFO, which can be read only once`,
  "token.empty": failure`token under file ${"file"} is empty`,
  "token.too-long": failure`file ${"file"} is not a token: it is longer than ${"longest"} characters`,
  "token.unusable": failure`--dataplane-token-file ${"file"}: ${"problem"}; ${"wayOut"}`,
  "authority.unusable": failure`the certificate authority is unusable: ${"part"} ${"problem"}`,
  "rotation.running": failure`a rotation is already in progress`,
  "identity.service": failure`no certificate can contain the service "${"service"}": it ${"problem"}`,
  "identity.no-service": failure`a certificate needs at least one service`,
  "identity.root": failure`the root certificate ${"serial"} of mesh "${"mesh"}" expired at ${"when"}`,
  "certificate.host": failure`a certificate can't contain the host "${"host"}": it is neither an IP address without a zone
    nor a DNS name in ASCII`,
  "certificate.no-host": failure`a server's certificate needs at least one host`,
} as const;
