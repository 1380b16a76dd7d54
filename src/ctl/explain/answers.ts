import { UserError } from "../../lib/errors.js";
import { own } from "../../lib/own.js";
import { anyObject } from "../../resources/any-object.js";
import { explainedField, type PolicyLevel, type PolicyType } from "../../resources/policy-type.js";
import { text as anyText, flag, uint32 } from "../../resources/scalars.js";
import { decode, type Infer, list, map, type ObjectSchema, object, type Schema } from "../../resources/schema.js";
import { oneLine } from "../one-line.js";

/** The part of the API's explanations that kumactl reads; a newer control plane may return more. */

/** A text that is safe to print in one line. Only Envoy resources are read unchanged. */
function text(): Schema<string> {
  const plain = anyText();
  return { ...plain, read: (input, reading) => oneLine(plain.read(input, reading)) };
}

/** A map whose keys are safe to print, too. */
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
  /** Only for TrafficLogs. */
  backend: text(),
  /** Only for TrafficPermissions. */
  as: text(),
});

/** Fields that depend on the policy types; read them with `rowsOf` and `namesOf`. */
type ByType = Readonly<Record<never, never>>;

const rows = (types: readonly PolicyType[], level: PolicyLevel): ByType =>
  Object.fromEntries(
    types.filter(({ policy }) => policy.level === level).map(({ policy }) => [policy.field, list(policyMatch)]),
  );

const names = (types: readonly PolicyType[], ...levels: readonly PolicyLevel[]): ByType =>
  Object.fromEntries(explainedTypes(types, ...levels).map((type) => [explainedField(type), text()]));

/** The policy types of these levels that explanations name. */
export const explainedTypes = (types: readonly PolicyType[], ...levels: readonly PolicyLevel[]): PolicyType[] =>
  types.filter(({ policy }) => policy.sentence !== undefined && levels.includes(policy.level));

/** The policies of a type in a part of an answer that `policiesSchema` decoded. */
export const rowsOf = ({ policy }: PolicyType, part: object): readonly PolicyMatch[] =>
  own(part as Readonly<Record<string, readonly PolicyMatch[]>>, policy.field) ?? [];

/** The names of the effective policies in a part of an answer that `trafficSchema` decoded. */
export const namesOf = (type: PolicyType, part: object): string | undefined =>
  own(part as Readonly<Record<string, string>>, explainedField(type));

export const policiesSchema = (types: readonly PolicyType[]) =>
  object({
    mesh: text(),
    dataplane: text(),
    mtls: flag(),
    ...rows(types, "dataplane"),
    inbounds: list(
      object({
        address: text(),
        port: uint32(),
        tags: list(tags),
        allowed: list(text()),
        ...rows(types, "inbound"),
      }),
    ),
    outbounds: list(
      object({
        address: text(),
        port: uint32(),
        service: text(),
        ...rows(types, "outbound"),
        shares: list(object({ weight: uint32(), destination: tags, ...rows(types, "destination") })),
      }),
    ),
  });

const listener = object({ state: text(), reason: text(), earlier: flag(), kind: text(), raw: flag() });
const certificate = object({ state: text(), notAfter: text(), reason: text(), outdated: flag() });

export const trafficSchema = (types: readonly PolicyType[]) =>
  object({
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
        ...names(types, "outbound"),
        destinations: list(
          object({
            weight: uint32(),
            destination: tags,
            ...names(types, "destination", "inbound"),
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
        /** Sent by older control planes, which then propose to delete a policy that should be narrowed. */
        alsoAllowsOthers: flag(),
      }),
    ),
  });

/** An Envoy resource; it may contain thousands of endpoints. */
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
export type Policies = Infer<ReturnType<typeof policiesSchema>>;
export type Traffic = Infer<ReturnType<typeof trafficSchema>>;
export type Certificate = Infer<typeof certificate>;
export type Listener = Infer<typeof listener>;
export type ConfigDump = Infer<typeof configDumpSchema>;
export type ConfigDiff = Infer<typeof configDiffSchema>;

/**
 * Decodes a response of the API.
 * @throws UserError when it has another format
 */
export function readAnswer<T>(schema: ObjectSchema<T>, value: unknown): T {
  try {
    return decode(schema, value, "lenient").value;
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    throw UserError.of("api.unexpected", { reason: error });
  }
}
