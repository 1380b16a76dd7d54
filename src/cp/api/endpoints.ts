import { aboutEndpoints } from "./about.js";
import { authorityEndpoints, rotationEndpoints } from "./authorities.js";
import type { ReadContext, ReadEndpoint, WriteContext, WriteEndpoint } from "./endpoint.js";
import { explanationEndpoints } from "./explanations.js";
import { overviewEndpoints } from "./overviews.js";
import { resourceReads, resourceWrites } from "./resources.js";
import { unregisteredEndpoints } from "./unregistered.js";

/**
 * The factories of the API's endpoints. If several paths are equally near to an unknown one, the first is suggested.
 */
export interface ApiTable {
  readonly readers: readonly ((context: ReadContext) => readonly ReadEndpoint[])[];
  readonly writers: readonly ((context: WriteContext) => readonly WriteEndpoint[])[];
}

/** Every endpoint of the API. */
export const apiTable: ApiTable = {
  readers: [
    resourceReads,
    overviewEndpoints,
    authorityEndpoints,
    unregisteredEndpoints,
    explanationEndpoints,
    aboutEndpoints,
  ],
  writers: [resourceWrites, rotationEndpoints],
};
