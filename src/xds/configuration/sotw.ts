import type { EnvoyResource, XdsKind } from "../../envoy/resource.js";
import { decodeSotwRequest } from "../decode.js";
import type { Response } from "../response.js";
import { encodeSotwResponse } from "../wire.js";
import type { Protocol } from "./stream.js";

/** A client's subscription to one type, and the resources that it has. */
interface TypeState {
  names: ReadonlySet<string>;
  /** The resources that it accepted, by name. */
  accepted: ReadonlyMap<string, EnvoyResource>;
  /** The resources that it will have once it accepts the response with this nonce. */
  sent:
    | { readonly nonce: string; readonly resources: ReadonlyMap<string, EnvoyResource>; answered: boolean }
    | undefined;
}

/**
 * In this protocol a response holds all resources of a type; the client removes those that it omits. Endpoints are the
 * exception: an assignment that is omitted stays unchanged.
 */
const standAlone: ReadonlySet<XdsKind> = new Set(["eds"]);

/**
 * StreamAggregatedResources, state of the world: turns the session's deltas into full states, and the full list of
 * names in a request into subscriptions and unsubscriptions. One per stream.
 */
export function createSotw(): Protocol {
  const types = new Map<XdsKind, TypeState>();

  function stateOf(kind: XdsKind): TypeState {
    let state = types.get(kind);
    if (state === undefined) {
      state = { names: new Set(), accepted: new Map(), sent: undefined };
      types.set(kind, state);
    }
    return state;
  }

  return {
    requestName: "DiscoveryRequest",
    read(bytes, first) {
      const { node, typeUrl, kind, names, nonce, refusal } = decodeSotwRequest(bytes, first);
      if (kind === undefined) return { node, typeUrl, request: undefined };
      const state = stateOf(kind);
      const { sent } = state;
      // Stale: sent before the client received our last response. Its next request has its current subscription.
      if (nonce !== "" && nonce !== sent?.nonce) return { node, typeUrl, request: undefined };
      const again = nonce !== "" && sent?.answered === true;
      if (sent !== undefined && nonce !== "" && !sent.answered) {
        sent.answered = true;
        if (refusal === undefined) state.accepted = sent.resources;
      }
      const wanted = new Set(names);
      const added = names.filter((name) => !state.names.has(name));
      const dropped = [...state.names].filter((name) => !wanted.has(name));
      // The same names with a nonce that was already acknowledged: Envoy re-created a cluster and needs its endpoints.
      const renewed = again && added.length === 0 && dropped.length === 0 ? names : added;
      state.names = wanted;
      const request = {
        kind,
        nonce,
        refusal,
        subscribe: renewed,
        unsubscribe: dropped,
        initialVersions: new Map<string, string>(),
      };
      return { node, typeUrl, request };
    },
    write(response: Response) {
      const { kind, nonce, removed } = response;
      const state = stateOf(kind);
      const resources = new Map(standAlone.has(kind) ? [] : state.accepted);
      for (const name of removed) resources.delete(name);
      for (const resource of response.resources) resources.set(resource.name, resource);
      state.sent = { nonce, resources, answered: false };
      return encodeSotwResponse(kind, [...resources.values()], nonce);
    },
  };
}
