import { KubeError } from "../../kubeapi/error.js";
import { sleep } from "../../lib/deadline.js";
import type { Logger } from "../../lib/logger.js";
import type { Leadership } from "../leadership.js";
import type { Leases, SeenLease } from "./leases.js";

/** The Lease whose holder leads. */
export const leaderLease = "kuma-cp-leader";

/** As Kubernetes' own components have it, in milliseconds. */
const usualTiming = {
  /** Others may take the Lease over when it was not renewed for this long. */
  durationMs: 15_000,
  /** The holder no longer leads when it could not renew for this long. */
  deadlineMs: 10_000,
  retryMs: 2_000,
};

export interface LeaseLeadership extends Leadership {
  /** Tries once to take or renew the Lease. Never throws. */
  attempt(): Promise<void>;
  /** Attempts until `close`. */
  start(): void;
  /** Ends, and gives the Lease up, so that another instance leads at once. */
  close(): Promise<void>;
}

/**
 * Leads while this instance holds the Lease. Whether it does is known without a request; the clock is this process's
 * own, so that clocks of machines may differ.
 */
export function createLeadership(
  leases: Leases,
  own: string,
  logger: Logger,
  { now = () => performance.now(), timing = usualTiming } = {},
): LeaseLeadership {
  const stopping = new AbortController();
  const { durationMs, deadlineMs, retryMs } = timing;
  /** As this instance last wrote it. */
  let held: SeenLease | undefined;
  let renewedAt: number | undefined;
  let failure: KubeError | undefined;
  let running: Promise<void> = Promise.resolve();

  const spec = (lease: SeenLease | undefined) => ({
    holderIdentity: own,
    leaseDurationSeconds: Math.ceil(durationMs / 1_000),
    leaseTransitions: (lease?.transitions ?? 0) + (lease === undefined || lease.holder === own ? 0 : 1),
  });

  const isFree = ({ holder, changedAt, durationMs: promised }: SeenLease) =>
    holder === "" || holder === own || now() - changedAt >= Math.max(promised, durationMs);

  async function attempt(): Promise<void> {
    // Before the request: it may be answered late.
    const at = now();
    try {
      // Without reading the Lease first, as long as nobody else changes it.
      const lease = held ?? (await leases.get(leaderLease));
      failure = undefined;
      if (lease !== undefined && !isFree(lease)) {
        renewedAt = undefined;
        return;
      }
      if (lease === undefined) held = await leases.create(leaderLease, spec(undefined), false);
      else held = await leases.renew(lease, spec(lease));
      renewedAt = at;
    } catch (error) {
      held = undefined;
      if (!(error instanceof KubeError)) throw error;
      // Another instance was faster, or somebody deleted it: the next attempt reads what is there.
      if (error.status === 409) return;
      if (failure === undefined) logger.info("the Lease of the leader can't be renewed", { reason: error.message });
      failure = error;
    }
  }

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      await sleep(retryMs, stopping.signal).catch(() => {});
      if (!stopping.signal.aborted) await attempt();
    }
  }

  return {
    async leads() {
      const holds = renewedAt !== undefined && now() - renewedAt < deadlineMs;
      if (!holds && failure !== undefined) throw failure;
      return holds;
    },
    attempt,
    start() {
      running = run();
    },
    async close() {
      stopping.abort();
      await running;
      if (renewedAt === undefined) return;
      renewedAt = undefined;
      try {
        const lease = await leases.get(leaderLease);
        if (lease?.holder === own) await leases.renew(lease, { ...spec(lease), holderIdentity: "" });
      } catch (error) {
        // The others take it over when it runs out.
        logger.debug("the Lease of the leader was not given up", { reason: String(error) });
      }
    },
  };
}
