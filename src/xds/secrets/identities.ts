import type { MeshView } from "../../view/mesh-view.js";

/** A proxy's certificate and private key, in PEM. */
export interface IssuedIdentity {
  /** The services in its SPIFFE IDs, sorted. */
  readonly services: readonly string[];
  readonly certificateChain: string;
  readonly privateKey: string;
  /** Hexadecimal. */
  readonly serial: string;
  readonly notBefore: Date;
  readonly notAfter: Date;
}

/** The state of a mesh's certificate authority, as the secret server needs it. */
export type AuthorityState =
  | {
      readonly kind: "ready";
      /** The trust bundle: all root certificates that proxies must trust, in PEM. */
      readonly bundle: string;
      /** Identifies the signing root. A proxy whose certificate has a different one gets a new certificate. */
      readonly signer: string;
      /** Issues a certificate for these services. Rejects when that fails. */
      issue(services: readonly string[]): Promise<IssuedIdentity>;
    }
  /** There is none, or it can't be read; proxies keep their secrets. */
  | { readonly kind: "unusable"; readonly reason: string };

/** The certificate authorities as the secret server sees them. */
export interface Identities {
  authority(mesh: MeshView): AuthorityState;
}

/** The result of verifying a client's token. The reason is for the log, never for the peer. */
export type Authentication =
  | {
      readonly kind: "accepted";
      /** When the token expires; undefined when it does not. */
      readonly until: Date | undefined;
    }
  | { readonly kind: "refused"; readonly reason: string };

/** Verifies a client's token; at once, or by asking somebody who knows. Never rejects. */
export type Authenticate = (
  token: string | undefined,
  proxy: { readonly mesh: string; readonly name: string },
) => Authentication | Promise<Authentication>;
