import type { EnvoyResource, ProxyConfig, XdsKind } from "../../envoy/resource.js";
import { wanted } from "./due.js";
import type { Held, Subscription } from "./subscription.js";

/** How far the present content of a resource, or its removal, has come. */
export type DeliveryState =
  /** The client has it. */
  | "acknowledged"
  /** It was sent, and the client has not answered yet. */
  | "sent"
  /** The client would not take it. */
  | "refused"
  /** It will be sent when its turn comes. */
  | "waiting"
  /** The client has not asked for it. */
  | "unrequested";

/** One resource on a stream. */
export interface Delivery {
  readonly kind: XdsKind;
  readonly name: string;
  readonly state: DeliveryState;
  /** Undefined: there is to be no such resource any more. */
  readonly wanted: EnvoyResource | undefined;
  /** What the client acknowledged last. */
  readonly held: Held | undefined;
  /** What the client was sent last; undefined for its removal, and where an earlier stream brought it. */
  readonly sent: EnvoyResource | undefined;
  /** The client's words, where it refused what it was sent last. */
  readonly reason: string | undefined;
}

function heldBy({ held }: Subscription, name: string, resource: EnvoyResource | undefined): Held | undefined {
  const found = held.get(name);
  if (found === undefined || found.version === "" || found.lost) return undefined;
  return found.resource === undefined && found.version === resource?.version ? { ...found, resource } : found;
}

/** How a resource stands when it should be as in `config`; undefined when there is none and the client has none. */
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
    return held?.version === version && !subscription.owed.has(name) ? "acknowledged" : "waiting";
  }

  const sent = leaving ? undefined : (onItsWay ?? refused?.resource ?? held?.resource);
  const reason = onItsWay === undefined && !leaving ? refused?.reason : undefined;
  return { kind, name, state: state(), wanted: resource, held, sent, reason };
}

/** All resources that the client should have, has or was sent, in sending order. */
export function deliveriesOf(subscription: Subscription, config: ProxyConfig): Delivery[] {
  const { kind, names, held, refused, unacknowledged } = subscription;
  const known = new Set([...config[kind].keys(), ...names, ...held.keys(), ...refused.keys()]);
  for (const { name } of unacknowledged?.resources ?? []) known.add(name);
  for (const name of unacknowledged?.removed ?? []) known.add(name);
  return [...known].map((name) => deliveryOf(subscription, config, name)).filter((delivery) => delivery !== undefined);
}
