import type { Subscription } from "../../resources/dataplane-insight.js";
import type { RefusedResource, XdsKind } from "../../xds/observer.js";

type Counter = "responsesSent" | "responsesAcknowledged" | "responsesRejected";
type Counts = Record<Counter, number>;

/** The discovery services whose responses a DataplaneInsight counts one by one; secrets only count in the total. */
const counted = ["cds", "eds", "lds", "rds"] as const;
type Counted = (typeof counted)[number];

/** One observed ADS stream. */
export interface WatchedStream {
  readonly id: string;
  readonly mesh: string;
  readonly name: string;
  readonly connectTime: Date;
  disconnectTime: Date | undefined;
  lastUpdateTime: Date | undefined;
  readonly total: Counts;
  readonly perKind: Readonly<Record<Counted, Counts>>;
  /** The resources that the proxy currently rejects. */
  refused: readonly RefusedResource[];
}

const zero = (): Counts => ({ responsesSent: 0, responsesAcknowledged: 0, responsesRejected: 0 });

export function watchStream(stream: { id: string; mesh: string; name: string; at: Date }): WatchedStream {
  return {
    id: stream.id,
    mesh: stream.mesh,
    name: stream.name,
    connectTime: stream.at,
    disconnectTime: undefined,
    lastUpdateTime: undefined,
    total: zero(),
    perKind: { cds: zero(), eds: zero(), lds: zero(), rds: zero() },
    refused: [],
  };
}

export function count(stream: WatchedStream, kind: XdsKind, counter: Counter, at: Date): void {
  stream.lastUpdateTime = at;
  stream.total[counter] += 1;
  if (kind !== "sds") stream.perKind[kind][counter] += 1;
}

/** A timestamp in proto3 JSON. */
export const timestamp = (at: Date) => at.toISOString().replace(".000Z", "Z");

/** The stream as a subscription of a DataplaneInsight: zero counters are omitted, their objects are not. */
export function toSubscription(stream: WatchedStream, controlPlaneInstanceId: string): Subscription {
  const { cds, eds, lds, rds } = stream.perKind;
  return {
    id: stream.id,
    controlPlaneInstanceId,
    connectTime: timestamp(stream.connectTime),
    ...(stream.disconnectTime === undefined ? {} : { disconnectTime: timestamp(stream.disconnectTime) }),
    status: {
      ...(stream.lastUpdateTime === undefined ? {} : { lastUpdateTime: timestamp(stream.lastUpdateTime) }),
      total: counters(stream.total),
      cds: counters(cds),
      eds: counters(eds),
      lds: counters(lds),
      rds: counters(rds),
      ...(stream.refused.length === 0 ? {} : { refused: stream.refused.slice(0, mostRefused).map(refusal) }),
    },
  };
}

/** Maximum rejected resources in an insight: users fix them one after another. */
const mostRefused = 20;
const refusal = ({ kind, name, reason }: RefusedResource) => ({ type: kind, name, reason });

/** In proto3 JSON, 64-bit numbers are text. */
function counters(counts: Counts): Partial<Record<Counter, string>> {
  const texts: Partial<Record<Counter, string>> = {};
  for (const [counter, value] of Object.entries(counts) as [Counter, number][]) {
    if (value > 0) texts[counter] = String(value);
  }
  return texts;
}
