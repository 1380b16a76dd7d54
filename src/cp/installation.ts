import type { Authorities } from "../identity/authorities.js";
import { ensureSigningKey, type SigningKey } from "../identity/signing-key.js";
import { meshType } from "../resources/mesh.js";
import type { Store } from "../store/store.js";
import { ensureDefaultMesh } from "./default-mesh.js";
import type { StartContext } from "./start-context.js";

interface Parts {
  readonly store: Store;
  readonly authorities: Authorities;
}

/** Makes sure that the store has what every installation has; returns the key that signs tokens, if there are any. */
export async function ensureInstallation(
  { settings, logger }: Pick<StartContext, "settings" | "logger">,
  { store, authorities }: Parts,
): Promise<SigningKey | undefined> {
  const [signingKey] = await Promise.all([
    settings.tokenServerEnabled ? ensureSigningKey(store) : undefined,
    ensureDefaultMesh(store, settings.defaultMesh, authorities),
  ]);
  // Meshes of a store that an older version wrote, or whose creation was cut short, get theirs now.
  for (const { name } of await store.list(meshType)) {
    if (await authorities.ensure(name)) {
      logger.info("created the certificate authority that was missing", { mesh: name });
    }
  }
  return signingKey;
}
