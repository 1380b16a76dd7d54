import type { MeshView } from "../../view/mesh-view.js";

/** A certificate with its key, as a proxy presents it. PEM. */
export interface IssuedIdentity {
  /** Those that it names, sorted. */
  readonly services: readonly string[];
  readonly certificateChain: string;
  readonly privateKey: string;
  /** Hexadecimal. */
  readonly serial: string;
  readonly notBefore: Date;
  readonly notAfter: Date;
}

/** What the secret server needs of a mesh's certificate authority. */
export type AuthorityState =
  | {
      readonly kind: "ready";
      /** PEM of every root that proxies are to trust. */
      readonly bundle: string;
      /** Tells one signing root from another: whoever holds a certificate of another one gets a new one. */
      readonly signer: string;
      /** A certificate for these services. Rejects when it can't be made. */
      issue(services: readonly string[]): Promise<IssuedIdentity>;
    }
  /** There is none, or it can't be read; proxies keep what they have. */
  | { readonly kind: "unusable"; readonly reason: string };

/** The certificate authorities as the secret server sees them. */
export interface Identities {
  authority(mesh: MeshView): AuthorityState;
}

/** Whether whoever presents a token is the proxy it says it is; the reason is for our log, never for the peer. */
export type Authentication =
  | {
      readonly kind: "accepted";
      /** After this the token proves nothing any more. */
      readonly until: Date | undefined;
    }
  | { readonly kind: "refused"; readonly reason: string };

export type Authenticate = (
  token: string | undefined,
  proxy: { readonly mesh: string; readonly name: string },
) => Authentication;
