import { meshType } from "../../resources/mesh.js";
import { proxyTemplateType } from "../../resources/proxy-template.js";
import type { ResourceType } from "../../resources/resource.js";
import { trafficLogType } from "../../resources/traffic-log.js";
import { trafficRouteType } from "../../resources/traffic-route.js";
import type { Change, ChangeWarnings, Surroundings } from "./change.js";
import { meshWarnings } from "./mesh.js";
import { templateWarnings } from "./proxy-template.js";
import { logWarnings } from "./traffic-log.js";
import { routeWarnings } from "./traffic-route.js";

const about = <Spec>({ name }: ResourceType<Spec>, warnings: ChangeWarnings<Spec>) =>
  // The API only passes on specs that the type has read.
  [name, warnings as ChangeWarnings] as const;

/** By the name of the type. What a spec alone tells is in `warnings` of its type. */
const kinds: ReadonlyMap<string, ChangeWarnings> = new Map([
  about(meshType, meshWarnings),
  about(proxyTemplateType, templateWarnings),
  about(trafficLogType, logWarnings),
  about(trafficRouteType, routeWarnings),
]);

/** The sentences to warn with when this change is made. Throws what the store throws. */
export async function changeWarnings(change: Change, store: Surroundings): Promise<readonly string[]> {
  return (await kinds.get(change.key.type)?.(change, store)) ?? [];
}
