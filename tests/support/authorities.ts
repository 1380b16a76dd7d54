import type { ApiOptions } from "../../src/cp/api/handler.js";
import { createDiagnosis } from "../../src/cp/explain/diagnosis.js";
import { createAuthorities } from "../../src/identity/authorities.js";
import { createLogger } from "../../src/lib/logger.js";
import type { Store } from "../../src/store/store.js";
import { emptyView } from "../../src/view/apply.js";

/**
 * What the HTTP API needs of certificate authorities and of proxies, over a store; no proxy is connected, and no
 * rotation begins.
 */
export function authorityOptions(
  store: Store,
): Pick<ApiOptions, "authorities" | "rotations" | "diagnosis" | "unregistered"> {
  const settings = { keyType: "ecdsa-p256", lifeMs: 3_600_000 } as const;
  const authorities = createAuthorities(store, settings, createLogger({ name: "test", level: "off" }));
  return {
    authorities,
    rotations: { status: async () => undefined, list: async () => [], rotate: async () => undefined },
    unregistered: () => [],
    diagnosis: createDiagnosis({
      view: () => emptyView,
      store,
      xds: { streams: () => [] },
      secrets: { proxies: () => new Map() },
      authorities,
      instanceId: "test",
    }),
  };
}
