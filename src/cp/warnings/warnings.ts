import { meshType } from "../../resources/mesh.js";
import { proxyTemplateType } from "../../resources/proxy-template.js";
import type { ResourceType } from "../../resources/resource.js";
import { trafficLogType } from "../../resources/traffic-log.js";
import { trafficRouteType } from "../../resources/traffic-route.js";
import type { Change, ChangeWarnings, ReadableStore } from "./change.js";
import { meshWarnings } from "./mesh.js";
import { templateWarnings } from "./proxy-template.js";
import { logWarnings } from "./traffic-log.js";
import { routeWarnings } from "./traffic-route.js";

const about = <Spec>({ name }: ResourceType<Spec>, warnings: ChangeWarnings<Spec>) =>
  // The API only passes specs that the type has decoded.
  [name, warnings as ChangeWarnings] as const;

/** By type name. Warnings that depend on the spec alone are in `warnings` of the type. */
const kinds: ReadonlyMap<string, ChangeWarnings> = new Map([
  about(meshType, meshWarnings),
  about(proxyTemplateType, templateWarnings),
  about(trafficLogType, logWarnings),
  about(trafficRouteType, routeWarnings),
]);

/** The warnings for a change. Throws the store's errors. */
export async function changeWarnings(change: Change, store: ReadableStore): Promise<readonly string[]> {
  return (await kinds.get(change.key.type)?.(change, store)) ?? [];
}
