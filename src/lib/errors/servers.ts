import { failure } from "./entry.js";

/** Errors that keep a server from starting: its port, its store, its stored keys. */
export const serverErrors = {
  "port.unavailable": failure`Could not listen on ${"address"}: ${"problem"}. Change ${"setting"} (0 = ${"zero"})`,
  "port.shared": failure`The public token server can't listen on ${"host"}, port ${"port"}, because the local one has
    that port on ${"localHost"}. Change ${"portSetting"}, or narrow ${"interfaceSetting"} to an address that other
    machines use`,
  "port.health": failure`could not listen on --health-port ${"port"}: ${"reason"}`,
  "port.echo": failure`could not listen on port ${"port"}: ${"reason"}`,
  "store.unusable": failure`${"reason"}`,
  "sds-certificate.unusable": failure`The Secret "${"secret"}" (of no mesh), which the SDS server presents, can't be
    used: ${"reason"}. Put it back from a backup of the store; or delete it there, and the next start makes a new one,
    which drains every connection of meshes with mTLS`,
  "signing-key.unusable": failure`The Secret "${"secret"}" (of no mesh), by which dataplane tokens are signed, holds no
    RSA private key in PKCS#1 DER: ${"reason"}. Put it back from a backup of the store; or delete it there, and the next
    start makes a new one, which makes every token issued so far worthless`,
} as const;
