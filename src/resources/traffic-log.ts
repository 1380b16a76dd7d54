import { backendOf, loggedFile } from "./logging.js";
import { type Outcome, type PolicyFacts, policyType } from "./policy-type.js";
import { ruled, validateRules } from "./rules.js";
import { text } from "./scalars.js";
import { type Infer, limits, list, object } from "./schema.js";
import { selectorsSchema } from "./selector.js";

const rule = {
  sources: selectorsSchema,
  destinations: selectorsSchema,
  /** Default: the mesh's default backend. The backend need not exist. */
  conf: object({ backend: text() }),
} as const;

const trafficLogSchema = object({ ...rule, rules: list(object(rule), limits.rules) });

/** Which connections are logged, and to which backend. Read it through `rulesOf`. */
export type TrafficLog = Infer<typeof trafficLogSchema>;

/** A rule logs nothing while the mesh does not have its backend, or the dataplane does not allow the log file. */
function outcome(conf: TrafficLog["conf"], { mesh, mayLogTo }: PolicyFacts): Outcome {
  const found = backendOf(conf?.backend, mesh);
  if (found === undefined) {
    const why = conf?.backend ? `the Mesh has no logging backend "${conf.backend}"` : "the Mesh has no defaultBackend";
    return { applies: false, reason: "no-backend", why: `logs nothing: ${why}` };
  }
  const backend = found.name ?? "";
  const file = loggedFile(found);
  if (file === undefined || mayLogTo(file)) return { backend, applies: true, reason: "all-apply" };
  return { backend, applies: false, reason: "log-directory" };
}

export const trafficLogType = policyType({
  name: "TrafficLog",
  path: "traffic-logs",
  pathAliases: ["trafficlogs"],
  summary: "Which connections are logged, and to which logging backend of the mesh.",
  cli: { singular: "traffic-log", plural: "traffic-logs", aliases: ["trafficlog", "trafficlogs"] },
  schema: trafficLogSchema,
  validation: validateRules,
  policy: {
    ...ruled<TrafficLog, TrafficLog["conf"]>(),
    level: "outbound",
    combine: "all",
    field: "trafficLogs",
    outcome,
  },
});
