import type { DataplaneOverview } from "../../resources/dataplane-overview.js";
import {
  dataplaneOverviewType,
  downPorts,
  isOnline,
  latestSubscription,
  openSubscriptions,
} from "../../resources/dataplane-overview.js";
import { fromJson } from "../../resources/envelope.js";
import { type Refused, refusedIn } from "../refusals.js";

export interface MeshState {
  readonly name: string;
  readonly mtls: boolean;
}

/** What is known of a dataplane's proxy. */
export interface ProxyState {
  readonly mesh: string;
  readonly name: string;
  /** Whether its mesh has mTLS on, and it so needs a certificate. */
  readonly mtls: boolean;
  readonly connection: "never" | "offline" | "online";
  /** When it connected last. */
  readonly connected: Date | undefined;
  /** When each of its open streams began, the oldest first: one for each proxy that runs under this name. */
  readonly streams: readonly Date[];
  /** When it was last seen, for one that is offline. */
  readonly disconnected: Date | undefined;
  readonly refused: readonly Refused[];
  /** The ports on 127.0.0.1 at which its applications do not accept connections, as far as it was asked to look. */
  readonly down: readonly number[];
  /** Since when its Envoy has not answered what it was sent; undefined when it has answered everything. */
  readonly unanswered: Date | undefined;
  readonly certificate: { readonly taken: Date; readonly expires: Date } | undefined;
  /** Why it was refused a certificate when it last asked for one. */
  readonly refusal: { readonly at: string; readonly reason: string } | undefined;
}

const date = (text: string | undefined): Date | undefined => (text === undefined ? undefined : new Date(text));

/** Counters are 64-bit numbers, which JSON has as text; what is no number counts as none. */
const counter = (text: string | undefined) => Number(text ?? 0) || 0;

/** Since when the oldest response waits for its answer, over all open streams. */
function unansweredSince(overview: DataplaneOverview): Date | undefined {
  const waiting = openSubscriptions(overview).flatMap(({ status: { lastUpdateTime, total = {} } = {} }) => {
    const { responsesSent, responsesAcknowledged, responsesRejected } = total;
    const answered = counter(responsesAcknowledged) + counter(responsesRejected);
    // What came after the response that waits, of another kind, makes the time later than it is.
    return counter(responsesSent) > answered && lastUpdateTime !== undefined ? [Date.parse(lastUpdateTime)] : [];
  });
  return waiting.length === 0 ? undefined : new Date(Math.min(...waiting));
}

/** Reads an overview of the mesh, as the API gives it. */
export function readProxy({ name: mesh, mtls }: MeshState, item: unknown): ProxyState {
  const { envelope, spec } = fromJson<DataplaneOverview>(dataplaneOverviewType, item, "lenient");
  const latest = latestSubscription(spec);
  const { certificateExpirationTime, lastCertificateRegeneration, refusal } = spec.dataplaneInsight?.mTLS ?? {};
  const [expires, taken] = [date(certificateExpirationTime), date(lastCertificateRegeneration)];
  return {
    mesh,
    name: envelope.name ?? "",
    mtls,
    connection: isOnline(spec) ? "online" : latest === undefined ? "never" : "offline",
    connected: date(latest?.connectTime),
    streams: openSubscriptions(spec).map(({ connectTime = "" }) => new Date(connectTime)),
    disconnected: date(latest?.disconnectTime),
    refused: refusedIn([item]),
    down: downPorts(spec),
    unanswered: unansweredSince(spec),
    certificate: expires === undefined || taken === undefined ? undefined : { expires, taken },
    refusal:
      refusal === undefined ? undefined : { at: refusal.time ?? "an unknown time", reason: refusal.reason ?? "" },
  };
}
