import { findKit } from "../../scripts/kubernetes/kit.mjs";

/**
 * Whether a CI that can't run a Kubernetes cluster fails. False until a run of CI has been seen to start one: it is not
 * known yet whether CI's machine may make namespaces, mounts and cgroups. Then this becomes true for good.
 */
export const missingClusterFailsCi = false;

/** Set by the runner when it could not start a cluster, for the test files. */
const unusable = "KUBERNETES_UNUSABLE";

/** Tells the test files that will be run that there can't be a cluster. */
export function markUnusable(reason: string): void {
  process.env[unusable] = reason;
}

/** Why there can be no cluster for tests here; undefined when there can. */
export function lackOfKubernetes(): string | undefined {
  if (process.env.USE_EXISTING_CLUSTER === "true") return undefined;
  const { missing } = findKit();
  if (missing.length > 0) return `Kubernetes was not built (npm run kubernetes:build): ${missing.join(", ")} missing`;
  return process.env[unusable];
}

/** The tests that this process skips only for want of a cluster. */
export const skippedForKubernetes = { tests: 0 };
