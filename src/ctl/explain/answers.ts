import { UserError } from "../../lib/errors.js";
import { anyObject } from "../../resources/any-object.js";
import { text as anyText, flag, uint32 } from "../../resources/scalars.js";
import { decode, type Infer, list, map, type ObjectSchema, object, type Schema } from "../../resources/schema.js";
import { oneLine } from "../one-line.js";

/** What kumactl reads of the API's explanations; a newer control plane may tell more. */

/** A text as it can be shown, in one line, so that what is made of an answer can be printed; only Envoy resources are read as they are. */
function text(): Schema<string> {
  const plain = anyText();
  return { ...plain, read: (input, reading) => oneLine(plain.read(input, reading)) };
}

/** Keys are shown as well. */
function shownMap(): Schema<Readonly<Record<string, string>>> {
  const plain = map(text());
  return {
    ...plain,
    read(input, reading) {
      const members = Object.entries(plain.read(input, reading));
      return Object.fromEntries(members.map(([key, value]) => [oneLine(key), value]));
    },
  };
}

const tags = shownMap();

const policyMatch = object({
  name: text(),
  rule: text(),
  source: tags,
  destination: tags,
  selector: tags,
  applies: flag(),
  reason: text(),
  /** Of TrafficLogs. */
  backend: text(),
  /** Of TrafficPermissions. */
  as: text(),
});

export const policiesSchema = object({
  mesh: text(),
  dataplane: text(),
  mtls: flag(),
  proxyTemplates: list(policyMatch),
  inbounds: list(
    object({
      address: text(),
      port: uint32(),
      tags: list(tags),
      allowed: list(text()),
      trafficPermissions: list(policyMatch),
    }),
  ),
  outbounds: list(
    object({
      address: text(),
      port: uint32(),
      service: text(),
      trafficRoutes: list(policyMatch),
      shares: list(object({ weight: uint32(), destination: tags, healthChecks: list(policyMatch) })),
      trafficLogs: list(policyMatch),
    }),
  ),
});

const listener = object({ state: text(), reason: text(), earlier: flag(), raw: flag() });
const certificate = object({ state: text(), notAfter: text(), reason: text(), outdated: flag() });

export const trafficSchema = object({
  mesh: text(),
  from: text(),
  to: text(),
  mtls: flag(),
  verdict: text(),
  withMtls: text(),
  connects: text(),
  permissions: list(policyMatch),
  problems: list(object({ code: text(), message: text(), dataplanes: list(text()) })),
  sources: list(
    object({
      dataplane: text(),
      online: flag(),
      certificate,
      outbounds: list(object({ address: text(), port: uint32(), listener })),
      connects: text(),
    }),
  ),
  routes: list(
    object({
      sources: list(text()),
      services: list(text()),
      route: policyMatch,
      destinations: list(
        object({
          weight: uint32(),
          destination: tags,
          healthCheck: text(),
          endpoints: list(
            object({
              dataplane: text(),
              address: text(),
              port: uint32(),
              tags,
              online: flag(),
              certificate,
              listener,
              allowed: flag(),
              permissions: list(object({ name: text(), rule: text() })),
              connects: flag(),
            }),
          ),
          connects: text(),
        }),
      ),
      connects: text(),
    }),
  ),
  advice: list(
    object({
      effect: text(),
      apply: anyObject(),
      delete: object({ type: text(), mesh: text(), name: text() }),
      narrow: object({ type: text(), mesh: text(), name: text() }),
      /** Of an older control plane, which proposes to delete what it should propose to narrow. */
      alsoAllowsOthers: flag(),
    }),
  ),
});

/** An Envoy resource, which may have thousands of endpoints in it. */
const resource = anyObject({ deepest: 200, largest: 10_000_000 });

const content = object({ version: text(), resource });

export const configDumpSchema = object({
  mesh: text(),
  dataplane: text(),
  streams: list(
    object({
      resources: list(
        object({
          type: text(),
          name: text(),
          state: text(),
          version: text(),
          reason: text(),
          resource,
        }),
      ),
    }),
  ),
  elsewhere: list(text()),
});

export const configDiffSchema = object({
  mesh: text(),
  dataplane: text(),
  settled: flag(),
  streams: list(
    object({
      differences: list(
        object({
          type: text(),
          name: text(),
          state: text(),
          reason: text(),
          wanted: content,
          acknowledged: content,
        }),
      ),
    }),
  ),
  missingSecrets: list(text()),
  elsewhere: list(text()),
});

export type PolicyMatch = Infer<typeof policyMatch>;
export type Policies = Infer<typeof policiesSchema>;
export type Traffic = Infer<typeof trafficSchema>;
export type Certificate = Infer<typeof certificate>;
export type Listener = Infer<typeof listener>;
export type ConfigDump = Infer<typeof configDumpSchema>;
export type ConfigDiff = Infer<typeof configDiffSchema>;

/**
 * Reads an answer of the API.
 * @throws UserError when it is something else
 */
export function readAnswer<T>(schema: ObjectSchema<T>, value: unknown): T {
  try {
    return decode(schema, value, "lenient").value;
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    throw UserError.of("api.unexpected", { reason: error });
  }
}
