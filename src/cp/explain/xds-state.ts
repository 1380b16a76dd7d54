import type { JsonObject } from "@bufbuild/protobuf";
import { resourceJson } from "../../envoy/json.js";
import { type EnvoyResource, typeUrls } from "../../envoy/resource.js";
import { messageOf } from "../../lib/errors.js";
import type { Steps } from "../../lib/steps.js";
import { inSlices } from "../../net/slices.js";
import type { Delivery, DeliveryState } from "../../xds/configuration/delivery.js";
import type { XdsKind } from "../../xds/observer.js";

/** A resource as it was sent last. */
export interface SentResource {
  readonly type: XdsKind;
  readonly name: string;
  readonly state: "acknowledged" | "sent" | "refused";
  readonly version: string;
  /** Envoy's words, when it refused. */
  readonly reason?: string;
  /** In proto3 JSON; absent where Envoy has it from another control plane or an earlier stream. */
  readonly resource?: JsonObject;
}

interface Content {
  readonly version: string;
  readonly resource?: JsonObject;
}

/** A resource that Envoy has not acknowledged as it should be by now. */
export interface UnacknowledgedResource {
  readonly type: XdsKind;
  readonly name: string;
  readonly state: Exclude<DeliveryState, "acknowledged">;
  readonly reason?: string;
  /** Absent: the resource is to go. */
  readonly wanted?: Content;
  /** Absent: Envoy has none. */
  readonly acknowledged?: Content;
}

/** What each becomes, in order; what becomes undefined is left out. */
function* each<A, B>(all: readonly A[], become: (one: A) => B | undefined): Steps<B[]> {
  const made: B[] = [];
  for (const one of all) {
    const result = become(one);
    if (result !== undefined) made.push(result);
    yield;
  }
  return made;
}

function readable(kind: XdsKind, resource: EnvoyResource): JsonObject {
  try {
    return resourceJson(kind, resource);
  } catch (error) {
    // A raw resource may hold what only a newer Envoy knows.
    return { "@type": typeUrls[kind], name: resource.name, unreadable: messageOf(error) };
  }
}

function sentResource(delivery: Delivery): SentResource | undefined {
  const { kind: type, name, sent, held, reason } = delivery;
  const version = sent?.version ?? held?.version;
  if (version === undefined) return undefined;
  const common = { type, name, version, ...(sent === undefined ? {} : { resource: readable(type, sent) }) };
  if (reason !== undefined) return { ...common, state: "refused", reason };
  return { ...common, state: held?.version === version ? "acknowledged" : "sent" };
}

function content(
  kind: XdsKind,
  of: { readonly version: string; readonly resource: EnvoyResource | undefined },
): Content {
  const { version, resource } = of;
  return resource === undefined ? { version } : { version, resource: readable(kind, resource) };
}

function unacknowledged(delivery: Delivery): UnacknowledgedResource | undefined {
  const { kind, name, state, wanted, held, reason } = delivery;
  if (state === "acknowledged") return undefined;
  return {
    type: kind,
    name,
    state,
    ...(state === "refused" && reason !== undefined ? { reason } : {}),
    ...(wanted === undefined ? {} : { wanted: content(kind, { version: wanted.version, resource: wanted }) }),
    ...(held === undefined ? {} : { acknowledged: content(kind, held) }),
  };
}

/** What was sent last on a stream, resource by resource in sending order. */
export const sentOn = (deliveries: readonly Delivery[]): Promise<SentResource[]> =>
  inSlices(each(deliveries, sentResource));

/** Where Envoy differs from what it should have. */
export const unacknowledgedOn = (deliveries: readonly Delivery[]): Promise<UnacknowledgedResource[]> =>
  inSlices(each(deliveries, unacknowledged));
