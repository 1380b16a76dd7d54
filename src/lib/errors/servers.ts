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
  "sds-certificate.unusable": failure`The Secret "${"secret"}" (of no mesh), which the SDS server presents, is
    unusable: ${"reason"}. Restore it from a backup of the store; or delete it there, and the next start creates a new
    one, which drains every connection of meshes with mTLS`,
  "signing-key.unusable": failure`The Secret "${"secret"}" (of no mesh), which signs dataplane tokens, contains no RSA
    private key in PKCS#1 DER: ${"reason"}. Restore it from a backup of the store; or delete it there, and the next start
    creates a new one, which invalidates every token issued so far`,
} as const;
