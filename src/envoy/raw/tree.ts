import type { DescField, DescMessage } from "@bufbuild/protobuf";
import { isJsonObject } from "../../lib/json.js";
import { nearest } from "../../lib/suggest.js";
import { describe } from "../../resources/malformed.js";
import { pathText, quoted, type Step } from "../../resources/path.js";
import { setOwn } from "../../resources/schema.js";
import { type EnvoyApi, hasFields, isV2, successorOf } from "./api.js";
import { jsonName } from "./descriptors.js";
import { enumProblem, scalarProblem, wellKnownProblem } from "./leaf.js";
import { type Json, type Place, rewrites } from "./rewrites.js";

/** A problem of a raw resource. */
export interface RawProblem {
  /** Its path in the message: `loadAssignment.endpoints[0]`; empty for the message itself. */
  readonly field: string;
  readonly message: string;
  /** A newer version of Envoy's API may accept it: it has more names, and other rules. */
  readonly newer: boolean;
}

/** A raw message in proto3 JSON of the v3 API, all names in lowerCamelCase. */
export interface Tree {
  readonly message: Json;
  readonly problems: readonly RawProblem[];
  /** Clusters that it sends traffic to. */
  readonly clusters: readonly string[];
  /** Files that it writes to, or prefixes of their paths. */
  readonly files: readonly string[];
  /** All socket addresses in it, with their paths. */
  readonly addresses: readonly RawAddress[];
}

/** An address that a raw resource listens on or connects to. */
export interface RawAddress {
  readonly field: string;
  readonly address: string;
  readonly port: number;
}

/** Fields that name a cluster which the message sends traffic to. */
const clusterFields: ReadonlyMap<string, string> = new Map([
  ["envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy", "cluster"],
  ["envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy.WeightedCluster.ClusterWeight", "name"],
  ["envoy.config.route.v3.RouteAction", "cluster"],
  ["envoy.config.route.v3.RouteAction.RequestMirrorPolicy", "cluster"],
  ["envoy.config.route.v3.WeightedCluster.ClusterWeight", "name"],
  ["envoy.config.core.v3.GrpcService.EnvoyGrpc", "clusterName"],
  ["envoy.config.core.v3.HttpUri", "cluster"],
  ["envoy.extensions.filters.network.redis_proxy.v3.RedisProxy.PrefixRoutes.Route", "cluster"],
  ["envoy.extensions.filters.network.redis_proxy.v3.RedisProxy.PrefixRoutes.Route.RequestMirrorPolicy", "cluster"],
]);

/** Fields that name a file which Envoy writes to. */
const fileFields: ReadonlyMap<string, string> = new Map([
  ["envoy.extensions.access_loggers.file.v3.FileAccessLog", "path"],
  ["envoy.extensions.health_check.event_sinks.file.v3.HealthCheckEventFileSink", "eventLogPath"],
  ["envoy.config.core.v3.HealthCheck", "eventLogPath"],
  ["envoy.config.tap.v3.FilePerTapSink", "pathPrefix"],
  ["envoy.extensions.transport_sockets.tls.v3.TlsKeyLog", "path"],
]);
const socketAddressType = "envoy.config.core.v3.SocketAddress";
const originalDstType = "envoy.config.cluster.v3.Cluster.OriginalDstLbConfig";

/** With these fields a client chooses where a cluster connects to, which may be the control plane's own servers. */
const chosenByClients = ["useHttpHeader", "metadataKey"] as const;

/** Messages that determine whether their transport sockets use downstream or upstream TLS. */
const sides: ReadonlyMap<string, Place["side"]> = new Map([
  ["envoy.config.listener.v3.Listener", "listener"],
  ["envoy.config.cluster.v3.Cluster", "cluster"],
]);

/** The type of fields with the API version of a discovery or other service: Envoy supports only V3. */
const apiVersion = "envoy.config.core.v3.ApiVersion";

/** The most problems reported at once. */
export const reported = 20;

const spellings = new WeakMap<DescMessage, ReadonlyMap<string, DescField>>();

/** A type's fields, by their proto and JSON names. */
function fieldsOf(type: DescMessage): ReadonlyMap<string, DescField> {
  let fields = spellings.get(type);
  if (fields === undefined) {
    fields = new Map(
      type.fields.flatMap((field) => [field.name, field.jsonName].map((name) => [name, field] as const)),
    );
    spellings.set(type, fields);
  }
  return fields;
}

/** Upgrades and validates the message of one raw resource. */
export function readTree(api: EnvoyApi, type: DescMessage, input: Json, v2: boolean): Tree {
  const problems: RawProblem[] = [];
  const clusters = new Set<string>();
  const files = new Set<string>();
  const addresses: RawAddress[] = [];
  const path: Step[] = [];
  /** Objects that rewrites created from v2 content, and the paths at which the user wrote that content. */
  const made = new WeakMap<object, readonly Step[]>();

  function report(steps: readonly Step[], message: string, newer = false): void {
    if (problems.length < reported) problems.push({ field: pathText([...path, ...steps]), message, newer });
  }

  /** Reads a value with its path: one step further down, or where the user wrote it. */
  function below(step: Step, value: unknown, read: () => unknown): unknown {
    const written = typeof value === "object" && value !== null ? made.get(value) : undefined;
    const before = written === undefined ? undefined : path.splice(0, path.length, ...written);
    if (before === undefined) path.push(step);
    const result = read();
    if (before === undefined) path.pop();
    else path.splice(0, path.length, ...before);
    return result;
  }

  /**
   * Copies a message with v3 names, and v2 names for fields that a rewrite may know; keeps the spelling of the latter.
   */
  function normalise(fields: ReadonlyMap<string, DescField>, value: Json, legacy: Map<string, string>): Json {
    const result: Json = {};
    for (const key of Object.keys(value)) {
      const name = fields.get(key)?.jsonName ?? jsonName(key);
      if (Object.hasOwn(result, name)) report([key], `the field is given twice, as "${legacy.get(name) ?? name}" too`);
      if (!fields.has(key)) legacy.set(name, key);
      setOwn(result, name, value[key]);
    }
    return result;
  }

  function reportUnknown(type: DescMessage, written: string): void {
    if (problems.length >= reported) return;
    const meant = nearest(
      jsonName(written),
      type.fields.map(({ jsonName }) => jsonName),
    );
    const hint = meant === undefined ? ` of ${type.typeName}` : `; did you mean ${quoted(meant)}?`;
    report([written], `unknown field${hint}`, true);
  }

  function message(type: DescMessage, value: Json, old: boolean, side: Place["side"]): Json {
    const fields = fieldsOf(type);
    const legacy = new Map<string, string>();
    const normal = normalise(fields, value, legacy);
    const here = sides.get(type.typeName) ?? side;
    if (old) {
      rewrites.get(type.typeName)?.(normal, {
        refuse: (field, reason) => report([legacy.get(field) ?? field], reason),
        madeFrom: (object, ...written) => void made.set(object, [...path, ...written]),
        side: here,
      });
      for (const field of type.fields) if (field.enum?.typeName === apiVersion) normal[field.jsonName] = "V3";
    }
    const result: Json = {};
    const chosen = new Map<string, string>();
    for (const key of Object.keys(normal)) {
      const field = fields.get(key);
      const child = normal[key];
      if (field === undefined) reportUnknown(type, legacy.get(key) ?? key);
      else if (child !== null && child !== undefined) {
        const other = field.oneof === undefined ? undefined : chosen.get(field.oneof.name);
        if (other !== undefined) report([key], `only one of "${other}" and "${key}" can be set`);
        if (field.oneof !== undefined) chosen.set(field.oneof.name, key);
        result[key] = below(key, child, () => fieldValue(field, child, old, here));
      }
    }
    for (const [into, known] of [
      [clusters, clusterFields],
      [files, fileFields],
    ] as const) {
      const target = known.get(type.typeName);
      const named = target === undefined ? undefined : result[target];
      if (typeof named === "string" && named !== "") into.add(named);
    }
    if (type.typeName === socketAddressType) keepAddress(result);
    if (type.typeName === originalDstType) refuseChosen(result);
    return result;
  }

  function keepAddress({ address, portValue, namedPort }: Json): void {
    const port = Number(portValue ?? namedPort ?? 0);
    if (typeof address === "string") addresses.push({ field: pathText(path), address, port });
  }

  function refuseChosen(value: Json): void {
    for (const field of chosenByClients) {
      if (value[field] === undefined || value[field] === false) continue;
      report([field], "lets clients choose any address, the control plane's own among it; name the hosts in a cluster");
    }
  }

  function fieldValue(field: DescField, value: unknown, old: boolean, side: Place["side"]): unknown {
    switch (field.fieldKind) {
      case "list": {
        // The v2 parser of `config` accepted a single object as a list of one.
        const list = old && isJsonObject(value) ? [value] : value;
        if (!Array.isArray(list)) return wrong(`expected a list, got ${describe(value)}`, value);
        return list.map((element: unknown, index) => below(index, element, () => single(field, element, old, side)));
      }
      case "map": {
        if (!isJsonObject(value)) return wrong(`expected an object of keys and values, got ${describe(value)}`, value);
        const result: Json = {};
        // Sorted, because maps have no order and Envoy compares bytes.
        for (const key of Object.keys(value).sort()) {
          setOwn(
            result,
            key,
            below({ key }, value[key], () => single(field, value[key], old, side)),
          );
        }
        return result;
      }
      default:
        return single(field, value, old, side);
    }
  }

  /** Reads one value of a field: a message, a scalar or an enum name. */
  function single(
    { message: type, enum: names, scalar }: Pick<DescField, "message" | "enum" | "scalar">,
    value: unknown,
    old: boolean,
    side: Place["side"],
  ): unknown {
    if (type !== undefined) {
      if (type.typeName === "google.protobuf.Any") return any(value, side);
      if (!hasFields(type)) return wrong(wellKnownProblem(type, value), value);
      if (!isJsonObject(value)) return wrong(`expected an object, got ${describe(value)}`, value);
      return message(type, value, old, side);
    }
    if (names !== undefined) return wrong(enumProblem(names, value), value, typeof value === "string");
    return wrong(scalar === undefined ? undefined : scalarProblem(scalar, value), value);
  }

  function wrong(problem: string | undefined, value: unknown, newer = false): unknown {
    if (problem !== undefined) report([], problem, newer);
    return value;
  }

  function any(value: unknown, side: Place["side"]): unknown {
    if (!isJsonObject(value)) return wrong(`expected an object with "@type", got ${describe(value)}`, value);
    const { "@type": url, ...content } = value;
    if (typeof url !== "string" || !url.includes("/")) {
      return wrong('needs "@type", such as type.googleapis.com/envoy.config.cluster.v3.Cluster', value);
    }
    const written = url.slice(url.lastIndexOf("/") + 1);
    const old = isV2(written);
    const name = old ? successorOf(written) : written;
    if (name === undefined) return wrong(`${quoted(written)} ${noSuccessor}`, value);
    const type = api.registry.getMessage(name);
    if (type === undefined) {
      report(["@type"], unknownType(api, name), true);
      return value;
    }
    const typed = { "@type": `type.googleapis.com/${name}` };
    if (!hasFields(type)) return { ...typed, ...content };
    return { ...typed, ...message(type, content, old || made.has(value), side) };
  }

  const read = message(type, input, v2, "cluster");
  return { message: read, problems, clusters: [...clusters], files: [...files], addresses };
}

/** The error text after the name of a type that only v2 has. */
export const noSuccessor = "is no type of Envoy's v3 API, and none of it replaces that";

/** Suggests a type with the same short name, if there is one: most mistakes are in the package. */
function unknownType({ registry }: EnvoyApi, typeName: string): string {
  const name = typeName.slice(typeName.lastIndexOf(".") + 1);
  const alike: string[] = [];
  for (const type of registry) if (type.kind === "message" && type.name === name) alike.push(type.typeName);
  return `unknown type ${quoted(typeName)}${alike.length === 1 ? `; did you mean ${quoted(alike[0] ?? "")}?` : ""}`;
}
