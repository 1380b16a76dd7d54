import { isDeepStrictEqual } from "node:util";
import { type Cause, UserError } from "../../lib/errors.js";
import { finish } from "../../lib/steps.js";
import { inSlices } from "../../net/slices.js";
import { nameCauses } from "../../resources/name.js";
import type { Registry } from "../../resources/registry.js";
import type { ResourceType } from "../../resources/resource.js";
import { decode, decodeInSteps } from "../../resources/schema.js";
import { coreNameOf, defaultMesh, kumaGroup, kumaVersion } from "../../store/kubernetes/naming.js";
import type { Key } from "../../store/store.js";
import type { AdmissionRequest, Verdict } from "../admission-review.js";
import { objectIn, textIn } from "../fields.js";

/** A valid resource that is about to be written. */
export interface AdmittedChange {
  readonly key: Key;
  readonly spec: unknown;
  /** The spec that it replaces; undefined if it is new. */
  readonly before: unknown;
}

export interface ValidatorOptions {
  readonly registry: Registry;
  /** Validation beyond what a type can check alone, by the name of the type; may take a while. */
  readonly checks: ReadonlyMap<string, (spec: unknown) => Promise<readonly Cause[]>>;
  /** What the change disables, and what it requests without effect; throws while the store is away. */
  readonly effects: (change: AdmittedChange) => Promise<readonly string[]>;
  /** Whether the mesh exists. */
  readonly meshExists: (mesh: string) => Promise<boolean>;
  /** The user name of the control planes of this installation, who alone write the status of Dataplanes. */
  readonly ownUser: () => Promise<string>;
}

/** Above this many bytes of JSON, objects are decoded in steps. */
const largeBytes = 32 * 1024;
/** Longest warning about an unknown field, in characters; kubectl shows each on a line. */
const longestUnknown = 120;
/** Causes of a denial, which becomes one line of kubectl. */
const mostCauses = 50;

const dnsLabel = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

/** Mesh names stand in names of Secrets, in host names and before the first dot of a proxy's id. */
function meshNameCauses(name: string): Cause[] {
  if (dnsLabel.test(name)) return [];
  const message =
    "has to be a DNS label: up to 63 lowercase letters, digits and '-', with a letter or digit at both ends";
  return [{ field: "metadata.name", message }];
}

function denied(causes: readonly Cause[]): Verdict {
  const shown = causes.slice(0, mostCauses);
  const more = causes.length - shown.length;
  const texts = shown.map(({ field, message }) => (field === "" ? message : `${field}: ${message}`));
  if (more > 0) texts.push(`and ${more} more problems like these`);
  return { allowed: false, code: 422, message: texts.join("; "), causes: shown };
}

/** `spec.conff: unknown field, did you mean "conf"?` */
function unknownWarning(body: string, { field, message }: Cause): string {
  const text = `${body}.${field}: ${message.replace("unknown field; did", "unknown field, did")}`;
  return text.length > longestUnknown ? `${text.slice(0, longestUnknown - 1)}…` : text;
}

interface Decoded {
  readonly spec: unknown;
  readonly unknown: readonly Cause[];
}

async function decoded(type: ResourceType, written: unknown, large: boolean): Promise<Decoded | readonly Cause[]> {
  try {
    const read = large
      ? await inSlices(decodeInSteps(type.schema, written, "strict"))
      : decode(type.schema, written, "strict");
    return { spec: type.defaults(read.value), unknown: read.unknown };
  } catch (error) {
    if (error instanceof UserError) return error.causes;
    throw error;
  }
}

/** The stored spec, for the warnings about a change; undefined if there is none, or it can't be read. */
function decodedBefore(type: ResourceType, written: unknown): unknown {
  try {
    return written === undefined ? undefined : type.defaults(decode(type.schema, written, "lenient").value);
  } catch {
    // What the change disables can't be told then; the change itself may well be the repair.
    return undefined;
  }
}

/**
 * The validating webhook: what the HTTP API refuses is refused here with the same words, but for unknown fields, which
 * the API server keeps and kubectl is warned of. Deletions always pass, and so do updates of anything but the resource
 * itself: the finalizers of an invalid object that came past this webhook can be removed.
 */
export function createValidator(options: ValidatorOptions): (request: AdmissionRequest) => Promise<Verdict> {
  const { registry, checks, effects, meshExists, ownUser } = options;

  function typeOf({ kind }: AdmissionRequest): ResourceType | undefined {
    if (kind.group !== kumaGroup || kind.version !== kumaVersion) return undefined;
    const type = registry.byName(kind.kind);
    return type?.kubernetes === undefined ? undefined : type;
  }

  /** The mesh of an object is checked like that in the URL of the HTTP API; the name of a Mesh only if it is new. */
  function placeCauses(type: ResourceType, newName: string | undefined, mesh: unknown): readonly Cause[] {
    if (type.scope === "global") return newName === undefined ? [] : meshNameCauses(newName);
    if (mesh === undefined || mesh === null) return [];
    if (typeof mesh !== "string") return [{ field: "mesh", message: `expected text, got ${typeof mesh}` }];
    return nameCauses({ mesh, name: "" });
  }

  async function problemsOf(type: ResourceType, spec: unknown, large: boolean): Promise<readonly Cause[]> {
    const causes = large ? await inSlices(type.validation(spec)) : finish(type.validation(spec));
    return causes.length > 0 ? causes : ((await checks.get(type.name)?.(spec)) ?? []);
  }

  async function changeWarnings(type: ResourceType, change: AdmittedChange): Promise<readonly string[]> {
    const { mesh } = change.key;
    try {
      const found = type.scope === "global" || (await meshExists(mesh));
      const missing = found ? [] : [`there is no Mesh "${mesh}" yet; until there is, this has no effect`];
      return [...missing, ...(await effects(change))];
    } catch {
      // Warnings are a courtesy: a store that is away must not keep anyone from writing to the API server.
      return [];
    }
  }

  /** The status of a Dataplane is what proxies did: who could write it could hide or invent a proxy. */
  async function reservedVerdict(type: ResourceType, request: AdmissionRequest): Promise<Verdict> {
    const body = type.kubernetes?.body ?? "status";
    const [before, now] = [objectIn(request.oldObject), objectIn(request.object)];
    // Labels, annotations, owners and finalizers are everyone's, for example the garbage collector's.
    const same = isDeepStrictEqual([before[body], before.mesh], [now[body], now.mesh]);
    if (request.operation === "UPDATE" && same) return { allowed: true };
    const own = await ownUser();
    if (request.userInfo.username === own) return { allowed: true };
    const message = `${type.name} is written by the control plane only, which is "${own}", not "${request.userInfo.username}"`;
    return { allowed: false, code: 403, message };
  }

  return async (request) => {
    if (request.operation === "DELETE" || request.operation === "CONNECT") return { allowed: true };
    const type = typeOf(request);
    if (type === undefined) {
      const { group, version, kind } = request.kind;
      return { allowed: false, code: 400, message: `there is no kind "${kind}" in ${group}/${version}` };
    }
    if (type.access !== "full") return reservedVerdict(type, request);
    const body = type.kubernetes?.body ?? "spec";
    const object = objectIn(request.object);
    const written = object[body] ?? {};
    const metadata = objectIn(object.metadata);
    // The API server has not made a name of `generateName` yet, and a Mesh may have one, too.
    const name = request.name || textIn(metadata.name) || `${textIn(metadata.generateName)}x`;
    const old = objectIn(request.oldObject);
    if (request.operation === "UPDATE" && isDeepStrictEqual([old[body], old.mesh], [object[body], object.mesh])) {
      return { allowed: true };
    }
    const place = placeCauses(type, request.operation === "CREATE" ? name : undefined, object.mesh);
    const large = JSON.stringify(written).length > largeBytes;
    const read = await decoded(type, written, large);
    if (!("spec" in read)) return denied([...place, ...read]);
    const { spec, unknown } = read;
    const causes = [...place, ...(await problemsOf(type, spec, large))];
    const unknownWarnings = unknown.map((cause) => unknownWarning(body, cause));
    if (causes.length > 0) return { ...denied(causes), warnings: unknownWarnings };
    const coreName = coreNameOf({ name, namespace: request.namespace });
    const mesh = type.scope === "global" ? name : textIn(object.mesh) || defaultMesh;
    const before = decodedBefore(type, old[body] ?? undefined);
    const change = { key: { type: type.name, mesh, name: coreName }, spec, before };
    return {
      allowed: true,
      warnings: [...unknownWarnings, ...type.warnings(spec), ...(await changeWarnings(type, change))],
    };
  };
}
