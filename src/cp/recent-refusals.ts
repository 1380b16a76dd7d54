import type { Incidents } from "../net/incidents.js";

/** What a server refused because it went beyond a limit. */
export interface LimitRefusal {
  readonly server: string;
  /** The limit's name in the metric `refusals`. */
  readonly limit: string;
  /** How often since the start. */
  readonly times: number;
  readonly last: Date;
}

export interface RecentRefusals {
  /** The same incidents, of which this takes note. */
  watch(server: string, incidents: Incidents): Incidents;
  /** Those whose last one is not older than `withinMs`, the newest first. */
  list(withinMs: number): readonly LimitRefusal[];
}

/** Limits that only have a peer wait for its turn, as they do when all proxies connect at once. */
const delaying: ReadonlySet<string> = new Set(["opening_connections", "connections_per_address"]);

/** Remembers when each limit was last reached: as many entries as there are servers and limits. `now` in milliseconds. */
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
