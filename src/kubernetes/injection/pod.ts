import { isJsonObject, type JsonObject } from "../../lib/json.js";

/**
 * The parts of a Pod that the injection looks at, as they were sent. A part that the pod lacks is undefined, whether
 * the field is absent or null.
 */
export interface RawPod {
  readonly metadata: JsonObject | undefined;
  readonly annotations: JsonObject | undefined;
  readonly labels: JsonObject | undefined;
  readonly spec: JsonObject;
  readonly containers: readonly JsonObject[];
  readonly initContainers: readonly JsonObject[] | undefined;
  readonly volumes: readonly JsonObject[] | undefined;
}

class Misshapen extends Error {}

function mapIn(holder: JsonObject, field: string, path: string): JsonObject | undefined {
  const value = holder[field] ?? undefined;
  if (value === undefined || isJsonObject(value)) return value;
  throw new Misshapen(`${path} has to be an object`);
}

function listIn(holder: JsonObject, field: string, path: string): readonly JsonObject[] | undefined {
  const value = holder[field] ?? undefined;
  if (value === undefined) return undefined;
  if (!Array.isArray(value)) throw new Misshapen(`${path} has to be a list`);
  for (const [index, element] of value.entries()) {
    if (!isJsonObject(element)) throw new Misshapen(`${path}[${index}] has to be an object`);
  }
  return value;
}

function parts(object: JsonObject): RawPod {
  const metadata = mapIn(object, "metadata", "metadata");
  const spec = mapIn(object, "spec", "spec");
  if (spec === undefined) throw new Misshapen("spec is missing");
  const containers = listIn(spec, "containers", "spec.containers");
  if (containers === undefined) throw new Misshapen("spec.containers is missing");
  return {
    metadata,
    annotations: metadata && mapIn(metadata, "annotations", "metadata.annotations"),
    labels: metadata && mapIn(metadata, "labels", "metadata.labels"),
    spec,
    containers,
    initContainers: listIn(spec, "initContainers", "spec.initContainers"),
    volumes: listIn(spec, "volumes", "spec.volumes"),
  };
}

/** Reads a Pod; returns the problem if the object is none. */
export function readRawPod(object: unknown): RawPod | string {
  if (!isJsonObject(object)) return "the object is missing";
  if (object.kind !== "Pod" || object.apiVersion !== "v1") return "the object is no v1 Pod";
  try {
    return parts(object);
  } catch (error) {
    if (error instanceof Misshapen) return error.message;
    throw error;
  }
}
