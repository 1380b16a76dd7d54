import { formatDuration } from "../lib/durations.js";
import type { ResponseCounters } from "./dataplane-insight.js";
import { type DataplaneOverview, isOnline, latestSubscription, subscriptionsOf } from "./dataplane-overview.js";
import { displayTags } from "./display.js";
import type { Column } from "./resource.js";

/** Not negative, even if this clock is behind the control plane's. */
function ago(at: string | undefined, now: Date): string {
  return at === undefined ? "never" : formatDuration(Math.max(0, now.getTime() - Date.parse(at)));
}

function total(overview: DataplaneOverview, counter: keyof ResponseCounters): string {
  let sum = 0n;
  for (const { status } of subscriptionsOf(overview)) sum += BigInt(status?.total?.[counter] ?? "0");
  return String(sum);
}

/** The columns of `kumactl inspect dataplanes` at the time `now`. */
export function overviewColumns(now: Date): readonly Column<DataplaneOverview>[] {
  return [
    { title: "MESH", cell: ({ mesh }) => mesh },
    { title: "NAME", cell: ({ name }) => name },
    { title: "TAGS", cell: ({ spec }) => displayTags(spec.dataplane ?? {}) },
    { title: "STATUS", cell: ({ spec }) => (isOnline(spec) ? "Online" : "Offline") },
    { title: "LAST CONNECTED AGO", cell: ({ spec }) => ago(latestSubscription(spec)?.connectTime, now) },
    { title: "LAST UPDATED AGO", cell: ({ spec }) => ago(latestSubscription(spec)?.status?.lastUpdateTime, now) },
    { title: "TOTAL UPDATES", cell: ({ spec }) => total(spec, "responsesSent") },
    { title: "TOTAL ERRORS", cell: ({ spec }) => total(spec, "responsesRejected") },
  ];
}
