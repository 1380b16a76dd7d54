import { anyObject } from "./any-object.js";
import { policyType } from "./policy-type.js";
import { ruled, rulesOf, validateRules } from "./rules.js";
import { type Infer, limits, list, object } from "./schema.js";
import { selectorsSchema } from "./selector.js";
import { serviceTag } from "./tags.js";

const rule = object({
  sources: selectorsSchema,
  destinations: selectorsSchema,
  /** Has no effect. */
  conf: anyObject(),
});

const trafficPermissionSchema = object({
  sources: selectorsSchema,
  destinations: selectorsSchema,
  rules: list(rule, limits.rules),
});

/** Which services may connect to which while mTLS is enabled. Read it through `rulesOf`. */
export type TrafficPermission = Infer<typeof trafficPermissionSchema>;

/** A certificate proves the service only: warns that other tags of a source are not enforced. */
function warnings(spec: TrafficPermission): string[] {
  const keys = rulesOf<unknown>(spec).flatMap(({ sources = [] }) =>
    sources.flatMap(({ match = {} }) => Object.keys(match)),
  );
  const unproven = [...new Set(keys)].filter((key) => key !== serviceTag).sort();
  if (unproven.length === 0) return [];
  const tags = unproven.map((key) => `"${key}"`).join(", ");
  return [`of sources only "${serviceTag}" is enforced, so that ${tags} let every instance of the service pass`];
}

export const trafficPermissionType = policyType({
  name: "TrafficPermission",
  path: "traffic-permissions",
  pathAliases: ["trafficpermissions"],
  summary: "Which services may connect to which, while mTLS is enabled in the mesh.",
  cli: {
    singular: "traffic-permission",
    plural: "traffic-permissions",
    aliases: ["trafficpermission", "trafficpermissions"],
  },
  schema: trafficPermissionSchema,
  validation: validateRules,
  warnings,
  policy: {
    ...ruled<TrafficPermission, unknown>(),
    level: "inbound",
    combine: "all",
    field: "trafficPermissions",
    needsMtls: true,
  },
});
