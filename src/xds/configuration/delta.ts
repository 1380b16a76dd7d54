import { decodeDeltaRequest } from "../decode.js";
import { encodeDeltaResponse } from "../wire.js";
import type { Protocol } from "./stream.js";

/** DeltaAggregatedResources. The session works in deltas itself, so no state is needed here. */
export const delta: Protocol = {
  requestName: "DeltaDiscoveryRequest",
  read: decodeDeltaRequest,
  write: encodeDeltaResponse,
};
