import type { Cause } from "../lib/errors.js";
import { durationNanos } from "./duration.js";
import { policyType } from "./policy-type.js";
import { duration, uint32 } from "./scalars.js";
import { type Infer, object } from "./schema.js";
import { selectorsSchema, validateSelectors } from "./selector.js";

const healthCheckSchema = object({
  sources: selectorsSchema,
  destinations: selectorsSchema,
  conf: object({
    activeChecks: object({
      interval: duration(),
      timeout: duration(),
      unhealthyThreshold: uint32(),
      healthyThreshold: uint32(),
    }),
    passiveChecks: object({ unhealthyThreshold: uint32(), penaltyInterval: duration() }),
  }),
});

/** How to detect unhealthy endpoints of a service. */
export type HealthCheck = Infer<typeof healthCheckSchema>;

/** In the order in which errors are reported: durations are text, thresholds numbers. */
const activeFields = ["interval", "timeout", "unhealthyThreshold", "healthyThreshold"] as const;
const passiveFields = ["unhealthyThreshold", "penaltyInterval"] as const;

type Value = string | number | undefined;

const nanosOf = (value: Value) => (typeof value === "string" ? (durationNanos(value) ?? 0n) : BigInt(value ?? 0));

/** Envoy uses 64-bit nanoseconds, which is enough for 292 years. */
const longest = 9_223_372_035n * 1_000_000_000n;

function problemOf(value: Value): string | undefined {
  const nanos = nanosOf(value);
  if (nanos > longest || nanos < -longest) return "must have a valid value";
  return nanos > 0n ? undefined : "must have a positive value";
}

/** Checks without any field set count as absent. */
function isConfigured<Field extends string>(
  checks: { readonly [K in Field]?: string | number } | undefined,
  fields: readonly Field[],
): checks is { readonly [K in Field]?: string | number } {
  return checks !== undefined && fields.some((field) => nanosOf(checks[field]) !== 0n);
}

function validateChecks<Field extends string>(
  checks: { readonly [K in Field]?: string | number } | undefined,
  fields: readonly Field[],
  path: string,
  causes: Cause[],
): boolean {
  if (!isConfigured(checks, fields)) return false;
  for (const field of fields) {
    const message = problemOf(checks[field]);
    if (message !== undefined) causes.push({ field: `${path}.${field}`, message });
  }
  return true;
}

function validate({ sources, destinations, conf }: HealthCheck): Cause[] {
  const causes: Cause[] = [];
  validateSelectors(sources, "sources", "withService", causes);
  validateSelectors(destinations, "destinations", "service", causes);
  const active = validateChecks(conf?.activeChecks, activeFields, "conf.activeChecks", causes);
  const passive = validateChecks(conf?.passiveChecks, passiveFields, "conf.passiveChecks", causes);
  if (!active && !passive) {
    causes.push({ field: "conf", message: "must have either active or passive checks configured" });
  }
  return causes;
}

export const healthCheckType = policyType({
  name: "HealthCheck",
  path: "health-checks",
  summary: "How the proxies of the sources detect unhealthy endpoints of the destinations.",
  pathAliases: ["healthchecks"],
  cli: { singular: "healthcheck", plural: "healthchecks", aliases: ["health-check", "health-checks"] },
  schema: healthCheckSchema,
  validate,
  policy: {
    rules: (spec) => [spec],
    level: "destination",
    combine: "one",
    field: "healthChecks",
    sentence: (name) => `without those that HealthCheck ${name} finds unhealthy`,
  },
});
