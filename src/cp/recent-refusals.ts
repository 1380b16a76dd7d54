import type { Incidents } from "../net/incidents.js";

/** Rejections by a server because of one limit. */
export interface LimitRefusal {
  readonly server: string;
  /** The limit's name in the metric `refusals`. */
  readonly limit: string;
  /** Count since the start. */
  readonly times: number;
  readonly last: Date;
}

export interface RecentRefusals {
  /** Wraps the incidents of a server to record them. */
  watch(server: string, incidents: Incidents): Incidents;
  /** Those whose last rejection is at most `withinMs` ago, newest first. */
  list(withinMs: number): readonly LimitRefusal[];
}

/** Limits that only delay a peer, as when all proxies connect at once. */
const delaying: ReadonlySet<string> = new Set(["opening_connections", "connections_per_address"]);

/** Records when each limit was last reached, with one entry per server and limit. `now` is in milliseconds. */
export function createRecentRefusals(now: () => number = Date.now): RecentRefusals {
  const seen = new Map<string, LimitRefusal>();
  return {
    watch: (server, incidents) => ({
      refused(limit) {
        incidents.refused(limit);
        if (delaying.has(limit)) return;
        const key = `${server}\n${limit}`;
        seen.set(key, { server, limit, times: (seen.get(key)?.times ?? 0) + 1, last: new Date(now()) });
      },
      caught: () => incidents.caught(),
    }),
    list: (withinMs) =>
      [...seen.values()]
        .filter(({ last }) => now() - last.getTime() <= withinMs)
        .sort((a, b) => b.last.getTime() - a.last.getTime()),
  };
}
