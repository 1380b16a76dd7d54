import type { ApiOptions } from "../../src/cp/api/handler.js";
import { createDiagnosis } from "../../src/cp/explain/diagnosis.js";
import { createRecentRefusals } from "../../src/cp/recent-refusals.js";
import { createStatus } from "../../src/cp/status.js";
import { createAuthorities } from "../../src/identity/authorities.js";
import { createLogger } from "../../src/lib/logger.js";
import type { Store } from "../../src/store/store.js";
import { emptyView } from "../../src/view/apply.js";

/**
 * What the HTTP API needs to know about certificate authorities, proxies and its own server, over a store. No proxy is
 * connected, no rotation can start, and everyone may do everything.
 */
export function authorityOptions(
  store: Store,
): Pick<ApiOptions, "authorities" | "rotations" | "diagnosis" | "status" | "unregistered" | "layers"> {
  const settings = { keyType: "ecdsa-p256", validityMs: 3_600_000 } as const;
  const authorities = createAuthorities(store, settings, createLogger({ name: "test", level: "off" }));
  return {
    authorities,
    rotations: { status: async () => undefined, list: async () => [], rotate: async () => undefined },
    status: createStatus({
      store,
      storeType: "memory",
      sdsCertificate: { notBefore: new Date(0), notAfter: new Date("2999-01-01T00:00:00Z"), setting: undefined },
      refusals: createRecentRefusals(),
    }),
    unregistered: () => [],
    layers: [],
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
