import type { KubeClient } from "../../kubeapi/client.js";
import { leaderLease } from "../../store/kubernetes/leadership.js";
import { objectIn, textIn } from "../fields.js";

/** The Lease whose holder makes Dataplanes of pods and keeps the meshes. */
export interface LeaderStatus {
  readonly lease: string;
  /** The id of the control plane instance that holds it; empty if none does. */
  readonly holder: string;
  /** RFC 3339. */
  readonly renewed?: string;
  /** Since it was renewed, by the clock of this control plane; at least 0. */
  readonly ageMs?: number;
  /** How long it holds without being renewed. */
  readonly durationMs: number;
}

/**
 * Reads the Lease of the leader.
 * @param now milliseconds since 1970
 * @throws KubeError
 */
export async function readLeader(
  client: Pick<KubeClient, "get">,
  namespace: string,
  now: () => number,
): Promise<LeaderStatus> {
  const collection = { group: "coordination.k8s.io", version: "v1", plural: "leases", namespace };
  const spec = objectIn((await client.get(collection, leaderLease))?.spec);
  const renewed = Date.parse(textIn(spec.renewTime));
  const seconds = typeof spec.leaseDurationSeconds === "number" ? spec.leaseDurationSeconds : 0;
  return {
    lease: leaderLease,
    holder: textIn(spec.holderIdentity),
    durationMs: seconds * 1_000,
    ...(Number.isNaN(renewed) ? {} : { renewed: new Date(renewed).toISOString(), ageMs: Math.max(0, now() - renewed) }),
  };
}
