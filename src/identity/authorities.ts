import { messageOf } from "../lib/errors.js";
import type { Logger } from "../lib/logger.js";
import { authorityName, type Secret } from "../resources/secret.js";
import { type Key, type Store, type Stored, StoreError } from "../store/store.js";
import { type Authority, readAuthority } from "./authority.js";
import { type AuthorityDocument, decodeDocument, encodeDocument, newDocument } from "./authority-document.js";
import type { KeyType } from "./key-pair.js";
import { createRoot } from "./root.js";
import { type Identity, issueIdentity } from "./workload.js";

/** A mesh's certificate authority as read from its Secret. */
export type ReadState =
  | {
      readonly kind: "ready";
      readonly authority: Authority;
      readonly document: AuthorityDocument;
      readonly bundle: string;
      /** Fingerprint of the signing root. */
      readonly signer: string;
      issue(services: readonly string[]): Promise<Identity>;
    }
  | { readonly kind: "unusable"; readonly reason: string };

export interface AuthoritySettings {
  readonly keyType: KeyType;
  /** How long a proxy's certificate is valid, in milliseconds. */
  readonly validityMs: number;
}

interface MeshLike {
  readonly name: string;
  readonly authority: Stored<Secret> | undefined;
}

/** The built-in certificate authorities of all meshes. */
export interface Authorities {
  /** The authority of a mesh; the same object until its Secret changes. */
  authority(mesh: MeshLike): ReadState;
  /**
   * Creates a mesh's authority unless it exists; returns whether it did. Another instance may have created it first.
   */
  ensure(mesh: string): Promise<boolean>;
  /** Deletes an authority whose mesh was not created. */
  discard(mesh: string): Promise<void>;
}

const absent: ReadState = { kind: "unusable", reason: "the mesh has no certificate authority" };

const keyOf = (mesh: string): Key => ({ type: "Secret", mesh, name: authorityName(mesh) });

export function createAuthorities(store: Store, settings: AuthoritySettings, logger: Logger): Authorities {
  const { keyType, validityMs } = settings;
  const known = new WeakMap<Stored<Secret>, ReadState>();

  function read(mesh: string, { spec }: Stored<Secret>): ReadState {
    try {
      const value = Buffer.from(spec.value ?? "", "base64");
      const authority = readAuthority(value);
      const [signing] = authority.roots;
      return {
        kind: "ready",
        authority,
        document: decodeDocument(spec.value ?? ""),
        bundle: authority.bundle,
        signer: signing.fingerprint,
        issue: (services) => issueIdentity(signing, { mesh, services, keyType, validityMs, now: new Date() }),
      };
    } catch (error) {
      const reason = messageOf(error);
      logger.error("a mesh's certificate authority is unusable: its proxies keep their certificates", { mesh, reason });
      return { kind: "unusable", reason };
    }
  }

  return {
    authority({ name, authority: stored }) {
      if (stored === undefined) return absent;
      let state = known.get(stored);
      if (state === undefined) {
        state = read(name, stored);
        known.set(stored, state);
      }
      return state;
    },
    async ensure(mesh) {
      if ((await store.get(keyOf(mesh))) !== undefined) return false;
      const root = await createRoot({ mesh, keyType, now: new Date() });
      const spec: Secret = { value: encodeDocument(newDocument(root, validityMs)) };
      try {
        await store.create({ ...keyOf(mesh), spec });
        return true;
      } catch (error) {
        if (error instanceof StoreError && error.kind === "already-exists") return false;
        throw error;
      }
    },
    async discard(mesh) {
      await store.delete(keyOf(mesh)).catch((error: unknown) => {
        if (!(error instanceof StoreError && error.kind === "not-found")) throw error;
      });
    },
  };
}
