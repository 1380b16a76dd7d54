import type { ApiOptions } from "../../src/cp/api/handler.js";
import { createAuthorities } from "../../src/identity/authorities.js";
import { createLogger } from "../../src/lib/logger.js";
import type { Store } from "../../src/store/store.js";

/** What the HTTP API needs of certificate authorities, over a store; no proxy is connected, and no rotation begins. */
export function authorityOptions(store: Store): Pick<ApiOptions, "authorities" | "rotations"> {
  const settings = { keyType: "ecdsa-p256", lifeMs: 3_600_000 } as const;
  return {
    authorities: createAuthorities(store, settings, createLogger({ name: "test", level: "off" })),
    rotations: { status: async () => undefined, list: async () => [], rotate: async () => undefined },
  };
}
