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

/** The state of a dataplane's proxy. */
export interface ProxyState {
  readonly mesh: string;
  readonly name: string;
  /** Whether its mesh has mTLS enabled, so that it needs a certificate. */
  readonly mtls: boolean;
  readonly connection: "never" | "offline" | "online";
  /** When it last connected. */
  readonly connected: Date | undefined;
  /** When each of its open streams started, oldest first: one for each proxy that runs under this name. */
  readonly streams: readonly Date[];
  /** When an offline proxy was last seen. */
  readonly disconnected: Date | undefined;
  readonly refused: readonly Refused[];
  /** Ports on 127.0.0.1 on which its applications do not accept connections, among those that it probes. */
  readonly down: readonly number[];
  /** When the oldest unanswered response was sent; undefined when Envoy has answered all of them. */
  readonly unanswered: Date | undefined;
  readonly certificate: { readonly taken: Date; readonly expires: Date } | undefined;
  /** Why its last request for a certificate was rejected. */
  readonly refusal: { readonly at: string; readonly reason: string } | undefined;
}

const date = (text: string | undefined): Date | undefined => (text === undefined ? undefined : new Date(text));

/** Counters are 64-bit numbers, which JSON encodes as strings. Anything else counts as zero. */
const counter = (text: string | undefined) => Number(text ?? 0) || 0;

/** The time of the oldest unanswered response over all open streams. */
function unansweredSince(overview: DataplaneOverview): Date | undefined {
  const waiting = openSubscriptions(overview).flatMap(({ status: { lastUpdateTime, total = {} } = {} }) => {
    const { responsesSent, responsesAcknowledged, responsesRejected } = total;
    const answered = counter(responsesAcknowledged) + counter(responsesRejected);
    // A later response of another type makes this time later than it is.
    return counter(responsesSent) > answered && lastUpdateTime !== undefined ? [Date.parse(lastUpdateTime)] : [];
  });
  return waiting.length === 0 ? undefined : new Date(Math.min(...waiting));
}

/** Reads a dataplane overview of the mesh, as the API returns it. */
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
