import { messageOf } from "../lib/errors.js";
import { type Store, StoreError } from "../store/store.js";
import type { LimitRefusal, RecentRefusals } from "./recent-refusals.js";

/** How a control plane is, as `/status` tells it; times are as in RFC 3339. */
export interface Status {
  readonly store: {
    readonly type: string;
    readonly writable: boolean;
    /** Why nothing can be written. */
    readonly reason?: string;
  };
  /** The certificate that the SDS server presents. */
  readonly sdsCertificate: {
    readonly notBefore: string;
    readonly notAfter: string;
    /** The setting that names its file; absent for one that the control plane made itself. */
    readonly setting?: string;
  };
  /** What went beyond a limit lately. */
  readonly refusals: readonly (Omit<LimitRefusal, "last"> & { readonly last: string })[];
}

export interface StatusOptions {
  readonly store: Pick<Store, "tryWrite">;
  readonly storeType: string;
  readonly sdsCertificate: { readonly notBefore: Date; readonly notAfter: Date; readonly setting: string | undefined };
  readonly refusals: Pick<RecentRefusals, "list">;
  /** Milliseconds of a clock that only goes forward. */
  readonly clock?: () => number;
}

/** Whoever asks may ask again and again: the store is not tried more often than this. */
const tryAgainMs = 2_000;
/** Who asks does not wait longer for the store. */
const patienceMs = 5_000;
const refusalsWithinMs = 600_000;

/** What a write that failed says; undefined for one that went well. */
async function writeProblem(store: Pick<Store, "tryWrite">): Promise<string | undefined> {
  try {
    await store.tryWrite();
    return undefined;
  } catch (error) {
    // What lies behind the store says more than that it is not available.
    return messageOf(error instanceof StoreError ? (error.cause ?? error) : error);
  }
}

/** Answers how the control plane is. The store is tried by a real write that is taken back. */
export function createStatus(options: StatusOptions): () => Promise<Status> {
  const { store, storeType, sdsCertificate, refusals, clock = () => performance.now() } = options;
  let attempt: { readonly problem: Promise<string | undefined>; readonly ended: { at: number } } | undefined;

  /** The outcome of the present attempt, of a recent one, or of a new one. */
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
    return {
      store: await storeStatus(),
      sdsCertificate: {
        notBefore: notBefore.toISOString(),
        notAfter: notAfter.toISOString(),
        ...(setting === undefined ? {} : { setting }),
      },
      refusals: refusals.list(refusalsWithinMs).map((one) => ({ ...one, last: one.last.toISOString() })),
    };
  };
}
