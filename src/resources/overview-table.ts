import { formatDuration } from "../lib/durations.js";
import type { ResponseCounters, Subscription } from "./dataplane-insight.js";
import type { DataplaneOverview } from "./dataplane-overview.js";
import { displayTags } from "./display.js";
import type { Column } from "./resource.js";

const subscriptionsOf = ({ dataplaneInsight }: DataplaneOverview) => dataplaneInsight?.subscriptions ?? [];

const isOnline = ({ connectTime, disconnectTime }: Subscription) =>
  connectTime !== undefined && disconnectTime === undefined;

/** Milliseconds since 1970; the records of two control planes may be in any order. */
const time = (text: string | undefined) => (text === undefined ? Number.NEGATIVE_INFINITY : Date.parse(text));

/** The subscription that began last; undefined when none ever did. */
function latest(overview: DataplaneOverview): Subscription | undefined {
  let found: Subscription | undefined;
  for (const subscription of subscriptionsOf(overview)) {
    if (subscription.connectTime === undefined) continue;
    if (found === undefined || time(subscription.connectTime) >= time(found.connectTime)) found = subscription;
  }
  return found;
}

/** A clock that is behind the control plane's must not show a negative age. */
function ago(at: string | undefined, now: Date): string {
  return at === undefined ? "never" : formatDuration(Math.max(0, now.getTime() - time(at)));
}

function total(overview: DataplaneOverview, counter: keyof ResponseCounters): string {
  let sum = 0n;
  for (const { status } of subscriptionsOf(overview)) sum += BigInt(status?.total?.[counter] ?? "0");
  return String(sum);
}

/** The columns of `kumactl inspect dataplanes`, as seen at a moment. */
export function overviewColumns(now: Date): readonly Column<DataplaneOverview>[] {
  return [
    { title: "MESH", cell: ({ mesh }) => mesh },
    { title: "NAME", cell: ({ name }) => name },
    { title: "TAGS", cell: ({ spec }) => displayTags(spec.dataplane ?? {}) },
    { title: "STATUS", cell: ({ spec }) => (subscriptionsOf(spec).some(isOnline) ? "Online" : "Offline") },
    { title: "LAST CONNECTED AGO", cell: ({ spec }) => ago(latest(spec)?.connectTime, now) },
    { title: "LAST UPDATED AGO", cell: ({ spec }) => ago(latest(spec)?.status?.lastUpdateTime, now) },
    { title: "TOTAL UPDATES", cell: ({ spec }) => total(spec, "responsesSent") },
    { title: "TOTAL ERRORS", cell: ({ spec }) => total(spec, "responsesRejected") },
  ];
}
