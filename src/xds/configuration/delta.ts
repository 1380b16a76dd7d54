import { decodeDeltaRequest } from "../decode.js";
import { encodeDeltaResponse } from "../wire.js";
import type { Protocol } from "./stream.js";

/** DeltaAggregatedResources: the session's own terms, so that there is nothing to remember. */
export const delta: Protocol = {
  requestName: "DeltaDiscoveryRequest",
  read: decodeDeltaRequest,
  write: encodeDeltaResponse,
};
