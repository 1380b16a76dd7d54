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

/** Sources for the state of a mesh's proxies: this control plane's streams and every control plane's insights. */
export interface Sources {
  readonly instanceId: string;
  /** The streams of a proxy with this control plane, newest last. */
  readonly streams: (proxy: string) => readonly ProxyStream[];
  /** Proxies with an SDS stream to this control plane. */
  readonly secrets: ReadonlyMap<string, ProxySecrets>;
  readonly insights: ReadonlyMap<string, DataplaneInsight>;
  readonly now: Date;
}

type Name = readonly [kind: XdsKind, name: string];

/** The state of a listener (first) with its dependencies. */
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
  // It may not have been sent on the stream yet.
  const [first] = names;
  const soon = stream.deliveries().some(({ kind, name, wanted }) => wanted && kind === first?.[0] && name === first[1]);
  return soon ? { state: "pending" } : delivered;
}

const unanswered = ({ status }: Subscription) => {
  const { responsesSent = "0", responsesAcknowledged = "0", responsesRejected = "0" } = status?.total ?? {};
  return BigInt(responsesSent) > BigInt(responsesAcknowledged) + BigInt(responsesRejected);
};

/** Another control plane only records rejected resources, and how many responses were acknowledged. */
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

/** When the certificate in an insight expires; undefined if it belonged to an earlier Envoy process. */
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

/** Which log files a proxy with these streams allows; undefined if it has no stream here, so that this is unknown. */
export function logFilesOf(
  streams: readonly Pick<ProxyStream, "placement">[],
): ((file: string) => boolean) | undefined {
  const placement = streams.at(-1)?.placement;
  return placement === undefined ? undefined : (file) => mayLogTo(placement.logDirectories, file);
}

/** Joins the state of this control plane, which is newer, with the records of all control planes. */
export function observe({ instanceId, streams, secrets, insights, now }: Sources): Observations {
  /** Streams with other control planes. An own one that still looks open is about to be recorded as closed. */
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
