import { nowhereName, serviceClusterName } from "../../envoy/clusters.js";
import { inboundListenerName, outboundListenerName } from "../../envoy/listeners.js";
import { mayLogTo } from "../../lib/log-directories.js";
import type { Delivered, Observations } from "../../policy/explain/observations.js";
import type { DataplaneInsight, Subscription } from "../../resources/dataplane-insight.js";
import type { Tags } from "../../resources/tags.js";
import type { Delivery } from "../../xds/configuration/delivery.js";
import type { ProxyStream } from "../../xds/configuration/proxies.js";
import type { XdsKind } from "../../xds/observer.js";
import type { ProxySecrets } from "../../xds/secrets/server.js";

/** What this control plane's streams and every control plane's insights tell of the proxies of a mesh. */
export interface Sources {
  readonly instanceId: string;
  /** The streams of a proxy with this control plane, the newest last. */
  readonly streams: (proxy: string) => readonly ProxyStream[];
  /** Proxies that have a secret stream with this control plane. */
  readonly secrets: ReadonlyMap<string, ProxySecrets>;
  readonly insights: ReadonlyMap<string, DataplaneInsight>;
  readonly now: Date;
}

type Name = readonly [kind: XdsKind, name: string];

/** A listener with all that it needs: it first. */
function deliveredOf(deliveries: readonly (Delivery | undefined)[]): Delivered {
  const [listener] = deliveries;
  if (listener?.wanted === undefined) return { state: "absent" };
  const raw = listener.wanted.raw ? ({ raw: true } as const) : {};
  const kind = listener.wanted.kind === undefined ? {} : { kind: listener.wanted.kind };
  const refused = deliveries.find((delivery) => delivery?.state === "refused");
  if (refused !== undefined) {
    const earlier = refused.held === undefined ? {} : ({ earlier: true } as const);
    return { state: "refused", reason: refused.reason ?? "", ...earlier, ...kind, ...raw };
  }
  const all = deliveries.every((delivery) => delivery?.state === "acknowledged");
  return { state: all ? "acknowledged" : "pending", ...kind, ...raw };
}

function fromStream(stream: ProxyStream, names: readonly Name[]): Delivered {
  const deliveries = names.map(([kind, name]) => stream.delivery(kind, name));
  const delivered = deliveredOf(deliveries);
  if (delivered.state !== "absent") return delivered;
  // The stream may only not have been told yet.
  const [first] = names;
  const soon = stream.deliveries().some(({ kind, name, wanted }) => wanted && kind === first?.[0] && name === first[1]);
  return soon ? { state: "pending" } : delivered;
}

const unanswered = ({ status }: Subscription) => {
  const { responsesSent = "0", responsesAcknowledged = "0", responsesRejected = "0" } = status?.total ?? {};
  return BigInt(responsesSent) > BigInt(responsesAcknowledged) + BigInt(responsesRejected);
};

/** Another control plane only records what is refused, and how many of its responses were answered. */
function fromSubscriptions(open: readonly Subscription[], names: readonly Name[]): Delivered {
  for (const { status } of open) {
    const refused = status?.refused?.find(({ type, name }) => names.some(([k, n]) => k === type && n === name));
    if (refused !== undefined) return { state: "refused", reason: refused.reason ?? "" };
  }
  return { state: open.some(unanswered) ? "pending" : "unknown" };
}

function outboundNames(destinations: readonly Tags[]): Name[] {
  if (destinations.length === 0) return [["cds", nowhereName]];
  return destinations.map(serviceClusterName).flatMap((name): Name[] => [
    ["cds", name],
    ["eds", name],
  ]);
}

/** Until when the certificate is valid that an insight tells of; undefined when an Envoy had it that is gone. */
export function recordedExpiration(
  { mTLS = {} }: DataplaneInsight,
  streams: readonly Pick<ProxyStream, "since" | "resumed">[],
): Date | undefined {
  const { certificateExpirationTime, lastCertificateRegeneration = "" } = mTLS;
  if (certificateExpirationTime === undefined) return undefined;
  const newest = streams.at(-1);
  const started = newest === undefined || newest.resumed ? undefined : newest.since.getTime();
  if (started !== undefined && Date.parse(lastCertificateRegeneration) < started) return undefined;
  return new Date(certificateExpirationTime);
}

/** Which log files a proxy with these streams allows; undefined while it has none here and so nothing is known of it. */
export function logFilesOf(
  streams: readonly Pick<ProxyStream, "placement">[],
): ((file: string) => boolean) | undefined {
  const placement = streams.at(-1)?.placement;
  return placement === undefined ? undefined : (file) => mayLogTo(placement.logDirectories, file);
}

/** Joins what is known here, which is newer, with what all control planes have recorded. */
export function observe({ instanceId, streams, secrets, insights, now }: Sources): Observations {
  /** Streams with other control planes; one of our own that looks open is about to be recorded as closed. */
  const elsewhere = (proxy: string): readonly Subscription[] =>
    insights
      .get(proxy)
      ?.subscriptions?.filter(
        ({ connectTime, disconnectTime, controlPlaneInstanceId }) =>
          connectTime !== undefined && disconnectTime === undefined && controlPlaneInstanceId !== instanceId,
      ) ?? [];

  function delivered(proxy: string, names: readonly Name[]): Delivered {
    const newest = streams(proxy).at(-1);
    return newest === undefined ? fromSubscriptions(elsewhere(proxy), names) : fromStream(newest, names);
  }

  return {
    now,
    proxy(name) {
      const identity = secrets.get(name)?.identity;
      const recorded = recordedExpiration(insights.get(name) ?? {}, streams(name));
      const times = [identity?.notAfter, recorded].filter((time) => time !== undefined);
      return {
        online: streams(name).length > 0 || elsewhere(name).length > 0,
        notAfter: times.length === 0 ? undefined : new Date(Math.max(...times.map((time) => time.getTime()))),
        services: identity?.services,
        mayLogTo: logFilesOf(streams(name)),
        refusal: insights.get(name)?.mTLS?.refusal?.reason,
      };
    },
    inbound: (proxy, place) => delivered(proxy, [["lds", inboundListenerName(place)]]),
    outbound: (proxy, place, destinations) =>
      delivered(proxy, [["lds", outboundListenerName(place)], ...outboundNames(destinations)]),
  };
}
