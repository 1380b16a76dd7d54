import { resourceType } from "./resource.js";
import { validateRules } from "./rules.js";
import { text } from "./scalars.js";
import { type Infer, limits, list, object } from "./schema.js";
import { selectorsSchema } from "./selector.js";

const rule = {
  sources: selectorsSchema,
  destinations: selectorsSchema,
  /** Without a backend: the mesh's default one. That the backend exists is not required. */
  conf: object({ backend: text() }),
} as const;

const trafficLogSchema = object({ ...rule, rules: list(object(rule), limits.rules) });

/** Which connections are logged, and where to. Read it through `rulesOf`. */
export type TrafficLog = Infer<typeof trafficLogSchema>;

export const trafficLogType = resourceType<TrafficLog>({
  name: "TrafficLog",
  path: "traffic-logs",
  pathAliases: ["trafficlogs"],
  cli: { singular: "traffic-log", plural: "traffic-logs", aliases: ["trafficlog", "trafficlogs"] },
  schema: trafficLogSchema,
  validation: validateRules,
});
