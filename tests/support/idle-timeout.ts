import { duration as envoyDuration, milliseconds } from "../../src/envoy/durations.js";
import { policyEffect } from "../../src/envoy/effects/effect.js";
import { candidates } from "../../src/policy/matching.js";
import { policyType } from "../../src/resources/policy-type.js";
import { duration } from "../../src/resources/scalars.js";
import { object } from "../../src/resources/schema.js";
import { selectorsSchema } from "../../src/resources/selector.js";

/** A policy that only tests have: these two values are everything that the program gets. */
export const idleTimeoutType = policyType({
  name: "IdleTimeout",
  path: "idle-timeouts",
  cli: { singular: "idle-timeout", plural: "idle-timeouts", aliases: [] },
  schema: object({ sources: selectorsSchema, destinations: selectorsSchema, conf: object({ after: duration() }) }),
  validate: ({ conf }) => (conf?.after ? [] : [{ field: "conf.after", message: "must have a positive value" }]),
  policy: {
    rules: (spec) => [spec],
    level: "outbound",
    combine: "one",
    field: "idleTimeouts",
    sentence: (name) => `closed when nothing is sent for as long as IdleTimeout ${name} says`,
  },
});

export const idleTimeoutEffect = policyEffect(idleTimeoutType, {
  outbound: {
    parametersOf: (table, service, { proxy }) => candidates(table, proxy.inbounds, service)[0]?.conf,
    addTo({ tcpProxy }, { after }) {
      tcpProxy.idleTimeout = envoyDuration(milliseconds(after));
    },
  },
});
