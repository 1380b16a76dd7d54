import { BlockList, isIPv4 } from "node:net";
import type { Mesh } from "../resources/mesh.js";
import type { Store } from "../store/store.js";

const loopback = new BlockList();
loopback.addSubnet("127.0.0.0", 8, "ipv4");
loopback.addAddress("::1", "ipv6");

/**
 * The warning of a control plane whose unauthenticated API can be reached from other machines while a mesh relies on
 * mTLS: whoever reaches it can write a permission. Undefined when there is nothing to warn of.
 */
export async function exposureWarning(store: Store, apiInterface: string): Promise<string | undefined> {
  if (loopback.check(apiInterface, isIPv4(apiInterface) ? "ipv4" : "ipv6")) return undefined;
  const meshes = await store.list("Mesh");
  const guarded = meshes.filter(({ spec }) => (spec as Mesh).mtls?.enabled === true).map(({ name }) => `"${name}"`);
  if (guarded.length === 0) return undefined;
  return (
    `the HTTP API listens on ${apiInterface} without authentication while mTLS is on in mesh ${guarded.join(", ")}: ` +
    "anyone who reaches it can write a TrafficPermission; narrow it with KUMA_API_SERVER_INTERFACE=127.0.0.1"
  );
}
