import type { Cause } from "../lib/errors.js";
import { atKey } from "./path.js";
import { policyType } from "./policy-type.js";
import { uint32 } from "./scalars.js";
import { type Infer, limits, list, object } from "./schema.js";
import { requireElements, selectorsSchema, tagsSchema, validateSelectors, validateTags } from "./selector.js";
import { serviceProblem } from "./spiffe.js";
import { serviceTag, tagValueProblem } from "./tags.js";

const share = object({
  /** Relative to the other weights; 0 sends nothing. */
  weight: uint32(),
  destination: tagsSchema,
});

const trafficRouteSchema = object({
  sources: selectorsSchema,
  destinations: selectorsSchema,
  conf: list(share, limits.routeDestinations),
});

/** How connections to a service are distributed over endpoints. */
export type TrafficRoute = Infer<typeof trafficRouteSchema>;

function validate({ sources, destinations, conf }: TrafficRoute): Cause[] {
  const causes: Cause[] = [];
  validateSelectors(sources, "sources", "withService", causes);
  validateSelectors(destinations, "destinations", "service", causes);
  requireElements(conf, "conf", causes);
  conf?.forEach(({ destination = {} }, index) => {
    const path = `conf[${index}].destination`;
    validateTags(destination, path, "withService", causes);
    const service = destination[serviceTag] ?? "";
    const problem = service === "" ? undefined : (tagValueProblem(service) ?? serviceProblem(service));
    if (problem !== undefined) causes.push({ field: atKey(path, serviceTag), message: problem });
  });
  return causes;
}

export const trafficRouteType = policyType({
  name: "TrafficRoute",
  path: "traffic-routes",
  pathAliases: ["trafficroutes"],
  summary: "How connections to a service are distributed over its versions.",
  cli: { singular: "traffic-route", plural: "traffic-routes", aliases: ["trafficroute", "trafficroutes"] },
  schema: trafficRouteSchema,
  validate,
  policy: { rules: (spec) => [spec], level: "outbound", combine: "one", field: "trafficRoutes" },
});
