import type { EnvoyResource, XdsKind } from "../../envoy/resource.js";
import { decodeSotwRequest } from "../decode.js";
import type { Response } from "../response.js";
import { encodeSotwResponse } from "../wire.js";
import type { Protocol } from "./stream.js";

/** What a client asked for and has of one type. */
interface TypeState {
  names: ReadonlySet<string>;
  /** What it has taken, by name. */
  accepted: ReadonlyMap<string, EnvoyResource>;
  /** What it will have when it takes the response with this nonce. */
  sent:
    | { readonly nonce: string; readonly resources: ReadonlyMap<string, EnvoyResource>; answered: boolean }
    | undefined;
}

/**
 * In this protocol a response names everything there is of a type, and what it leaves out is gone. Endpoints are the
 * exception: each assignment stands for itself, and one that is left out stays as it was.
 */
const standAlone: ReadonlySet<XdsKind> = new Set(["eds"]);

/**
 * StreamAggregatedResources, state of the world: turns what the session says in steps into whole states, and the names
 * of a request into what came and went. One per stream.
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
      // Made before the client saw our last response: its next request tells what it wants now.
      if (nonce !== "" && nonce !== sent?.nonce) return { node, typeUrl, request: undefined };
      const again = nonce !== "" && sent?.answered === true;
      if (sent !== undefined && nonce !== "" && !sent.answered) {
        sent.answered = true;
        if (refusal === undefined) state.accepted = sent.resources;
      }
      const wanted = new Set(names);
      const added = names.filter((name) => !state.names.has(name));
      const dropped = [...state.names].filter((name) => !wanted.has(name));
      // The same names under a nonce that was answered before: Envoy has made a cluster anew and wants its endpoints.
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
