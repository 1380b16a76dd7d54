import { anyObject } from "./any-object.js";
import { resourceType } from "./resource.js";
import { validateRules } from "./rules.js";
import { type Infer, list, object } from "./schema.js";
import { selectorsSchema } from "./selector.js";

const rule = object({
  sources: selectorsSchema,
  destinations: selectorsSchema,
  /** Without effect. */
  conf: anyObject(),
});

export const trafficPermissionSchema = object({
  sources: selectorsSchema,
  destinations: selectorsSchema,
  rules: list(rule),
});

/** Who may talk to whom while mTLS is on. Read it through `rulesOf`. */
export type TrafficPermission = Infer<typeof trafficPermissionSchema>;

export const trafficPermissionType = resourceType<TrafficPermission>({
  name: "TrafficPermission",
  path: "traffic-permissions",
  pathAliases: ["trafficpermissions"],
  cli: {
    singular: "traffic-permission",
    plural: "traffic-permissions",
    aliases: ["trafficpermission", "trafficpermissions"],
  },
  schema: trafficPermissionSchema,
  validate: validateRules,
});
