import { messageOf } from "../lib/errors.js";
import { type Store, StoreError } from "../store/store.js";
import type { KubernetesStatus } from "./kubernetes/status.js";
import type { LimitRefusal, RecentRefusals } from "./recent-refusals.js";

/** The status of a control plane, as in `/status`; times are in RFC 3339. */
export interface Status {
  readonly store: {
    readonly type: string;
    readonly writable: boolean;
    /** Why the store is not writable. */
    readonly reason?: string;
  };
  /** The certificate that the SDS server presents. */
  readonly sdsCertificate: {
    readonly notBefore: string;
    readonly notAfter: string;
    /** The setting that names its file; absent if the control plane generated it. */
    readonly setting?: string;
  };
  /** Recent rejections because of limits. */
  readonly refusals: readonly (Omit<LimitRefusal, "last"> & { readonly last: string })[];
  /** Of a control plane on Kubernetes. */
  readonly kubernetes?: KubernetesStatus;
}

export interface StatusOptions {
  readonly store: Pick<Store, "tryWrite">;
  readonly storeType: string;
  readonly sdsCertificate: { readonly notBefore: Date; readonly notAfter: Date; readonly setting: string | undefined };
  readonly refusals: Pick<RecentRefusals, "list">;
  /** Of a control plane on Kubernetes; never rejects. */
  readonly kubernetes?: (() => Promise<KubernetesStatus>) | undefined;
  /** A monotonic clock, in milliseconds. */
  readonly clock?: () => number;
}

/** The store is checked at most this often, however often the status is requested. */
const tryAgainMs = 2_000;
/** How long a request waits for the store. */
const patienceMs = 5_000;
const refusalsWithinMs = 600_000;

/** The error of a trial write; undefined if it succeeded. */
async function writeProblem(store: Pick<Store, "tryWrite">): Promise<string | undefined> {
  try {
    await store.tryWrite();
    return undefined;
  } catch (error) {
    // The backend's error says more than that the store is unavailable.
    return messageOf(error instanceof StoreError ? (error.cause ?? error) : error);
  }
}

/** Returns the status of the control plane. The store is checked by a real write that is rolled back. */
export function createStatus(options: StatusOptions): () => Promise<Status> {
  const { store, storeType, sdsCertificate, refusals, kubernetes, clock = () => performance.now() } = options;
  let attempt: { readonly problem: Promise<string | undefined>; readonly ended: { at: number } } | undefined;

  /** The result of the running check, of a recent one, or of a new one. */
  function problem(): Promise<string | undefined> {
    if (attempt !== undefined && clock() - attempt.ended.at < tryAgainMs) return attempt.problem;
    const ended = { at: Number.POSITIVE_INFINITY };
    const tried = writeProblem(store).finally(() => {
      ended.at = clock();
    });
    attempt = { problem: tried, ended };
    return tried;
  }

  async function storeStatus(): Promise<Status["store"]> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<string>((resolve) => {
      timer = setTimeout(resolve, patienceMs, `a write has not ended within ${patienceMs / 1000}s`);
    });
    const reason = await Promise.race([problem(), late]).finally(() => clearTimeout(timer));
    return { type: storeType, writable: reason === undefined, ...(reason === undefined ? {} : { reason }) };
  }

  return async () => {
    const { notBefore, notAfter, setting } = sdsCertificate;
    const [ofStore, ofKubernetes] = await Promise.all([storeStatus(), kubernetes?.()]);
    return {
      store: ofStore,
      sdsCertificate: {
        notBefore: notBefore.toISOString(),
        notAfter: notAfter.toISOString(),
        ...(setting === undefined ? {} : { setting }),
      },
      refusals: refusals.list(refusalsWithinMs).map((one) => ({ ...one, last: one.last.toISOString() })),
      ...(ofKubernetes === undefined ? {} : { kubernetes: ofKubernetes }),
    };
  };
}
