import type { JsonObject } from "@bufbuild/protobuf";
import { resourceJson } from "../../envoy/json.js";
import { type EnvoyResource, typeUrls } from "../../envoy/resource.js";
import { messageOf } from "../../lib/errors.js";
import type { Steps } from "../../lib/steps.js";
import { inSlices } from "../../net/slices.js";
import type { Delivery, DeliveryState } from "../../xds/configuration/delivery.js";
import type { XdsKind } from "../../xds/observer.js";

/** A resource as last sent. */
export interface SentResource {
  readonly type: XdsKind;
  readonly name: string;
  readonly state: "acknowledged" | "sent" | "refused";
  readonly version: string;
  /** Envoy's error, if it rejected the resource. */
  readonly reason?: string;
  /** In proto3 JSON; absent if Envoy got it from another control plane or on an earlier stream. */
  readonly resource?: JsonObject;
}

interface Content {
  readonly version: string;
  readonly resource?: JsonObject;
}

/** A resource whose current state Envoy has not acknowledged. */
export interface UnacknowledgedResource {
  readonly type: XdsKind;
  readonly name: string;
  readonly state: Exclude<DeliveryState, "acknowledged">;
  readonly reason?: string;
  /** Absent if the resource is to be removed. */
  readonly wanted?: Content;
  /** Absent if Envoy does not have it. */
  readonly acknowledged?: Content;
}

/** Maps all elements in order, and drops undefined results. */
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
    // A raw resource may contain what only a newer Envoy knows.
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

/** The resources last sent on a stream, in sending order. */
export const sentOn = (deliveries: readonly Delivery[]): Promise<SentResource[]> =>
  inSlices(each(deliveries, sentResource));

/** The resources where Envoy differs from what it should have. */
export const unacknowledgedOn = (deliveries: readonly Delivery[]): Promise<UnacknowledgedResource[]> =>
  inSlices(each(deliveries, unacknowledged));
