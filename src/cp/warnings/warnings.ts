import type { Change, ChangeWarnings, Surroundings } from "./change.js";
import { meshWarnings } from "./mesh.js";
import { templateWarnings } from "./proxy-template.js";
import { logWarnings } from "./traffic-log.js";
import { routeWarnings } from "./traffic-route.js";

/** By the name of the type. What a spec alone tells is in `warnings` of its type. */
const kinds: ReadonlyMap<string, ChangeWarnings> = new Map([
  // The API only passes on specs that the type has read.
  ["Mesh", meshWarnings as ChangeWarnings],
  ["ProxyTemplate", templateWarnings as ChangeWarnings],
  ["TrafficLog", logWarnings as ChangeWarnings],
  ["TrafficRoute", routeWarnings as ChangeWarnings],
]);

/** The sentences to warn with when this change is made. Throws what the store throws. */
export async function changeWarnings(change: Change, store: Surroundings): Promise<readonly string[]> {
  return (await kinds.get(change.key.type)?.(change, store)) ?? [];
}
