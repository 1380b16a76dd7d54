import type { EnvoyResource, ProxyConfig, XdsKind } from "../../envoy/resource.js";
import { wanted } from "./due.js";
import type { Held, Subscription } from "./subscription.js";

/** Delivery status of the current version of a resource, or of its removal. */
export type DeliveryState =
  /** The client acknowledged it. */
  | "acknowledged"
  /** It was sent; the client has neither acknowledged nor rejected it yet. */
  | "sent"
  /** The client rejected it. */
  | "refused"
  /** It has not been sent yet. */
  | "waiting"
  /** The client has not subscribed to it. */
  | "unrequested";

/** The delivery of one resource on a stream. */
export interface Delivery {
  readonly kind: XdsKind;
  readonly name: string;
  readonly state: DeliveryState;
  /** The current version; undefined when the resource is to be removed. */
  readonly wanted: EnvoyResource | undefined;
  /** The version that the client acknowledged last. */
  readonly held: Held | undefined;
  /** The version sent last; undefined for a removal, and for a resource that the client has from an earlier stream. */
  readonly sent: EnvoyResource | undefined;
  /** The client's error message, if it rejected the version sent last. */
  readonly reason: string | undefined;
}

function heldBy({ held }: Subscription, name: string, resource: EnvoyResource | undefined): Held | undefined {
  const found = held.get(name);
  if (found === undefined || found.version === "" || found.lost) return undefined;
  return found.resource === undefined && found.version === resource?.version ? { ...found, resource } : found;
}

/** The delivery of a resource, compared with `config`; undefined when neither `config` nor the client has it. */
export function deliveryOf(subscription: Subscription, config: ProxyConfig, name: string): Delivery | undefined {
  const { kind, unacknowledged } = subscription;
  const requested = subscription.wildcard || subscription.names.has(name);
  const resource = requested ? wanted(subscription, config, name) : config[kind].get(name);
  const held = heldBy(subscription, name, resource);
  const refused = subscription.refused.get(name);
  const travels = unacknowledged !== undefined && !unacknowledged.stale.has(name);
  const onItsWay = travels ? unacknowledged.resources.find((sent) => sent.name === name) : undefined;
  const leaving = travels && unacknowledged.removed.includes(name);
  if (resource === undefined && held === undefined && onItsWay === undefined && !leaving) return undefined;

  function state(): DeliveryState {
    if (resource === undefined) return leaving ? "sent" : "waiting";
    const { version } = resource;
    if (onItsWay !== undefined || leaving) return onItsWay?.version === version ? "sent" : "waiting";
    if (!requested) return "unrequested";
    if (refused?.version === version) return "refused";
    return held?.version === version && !subscription.resend.has(name) ? "acknowledged" : "waiting";
  }

  const sent = leaving ? undefined : (onItsWay ?? refused?.resource ?? held?.resource);
  const reason = onItsWay === undefined && !leaving ? refused?.reason : undefined;
  return { kind, name, state: state(), wanted: resource, held, sent, reason };
}

/** The deliveries of all resources that the client should have, has or was sent, in sending order. */
export function deliveriesOf(subscription: Subscription, config: ProxyConfig): Delivery[] {
  const { kind, names, held, refused, unacknowledged } = subscription;
  const known = new Set([...config[kind].keys(), ...names, ...held.keys(), ...refused.keys()]);
  for (const { name } of unacknowledged?.resources ?? []) known.add(name);
  for (const name of unacknowledged?.removed ?? []) known.add(name);
  return [...known].map((name) => deliveryOf(subscription, config, name)).filter((delivery) => delivery !== undefined);
}
