import { fromBinary, toJson } from "@bufbuild/protobuf";
import { builtInApi } from "../../src/envoy/raw/api.js";
import { kinds, type ProxyConfig, typeUrls, type XdsKind } from "../../src/envoy/resource.js";

export type Json = Record<string, unknown>;

/** A proxy's configuration as Envoy JSON: the resources of each type by name, without types that have none. */
export type ConfigJson = { readonly [Title in (typeof titles)[XdsKind]]?: readonly Json[] };

const titles = {
  cds: "clusters",
  eds: "assignments",
  lds: "listeners",
  rds: "routes",
  sds: "secrets",
} as const satisfies Record<XdsKind, string>;

/** The order of fields depends on declarations only. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, child]) => [key, sorted(child)]));
}

/** Decodes the bytes of a configuration as Envoy does. */
export function configJson(config: ProxyConfig): ConfigJson {
  const { registry } = builtInApi();
  const shown = kinds.map((kind) => {
    const type = registry.getMessage(typeUrls[kind].slice(typeUrls[kind].indexOf("/") + 1));
    if (type === undefined) throw new Error(`there is no type for ${kind}`);
    const resources = [...config[kind].values()].sort((a, b) => (a.name < b.name ? -1 : 1));
    return [titles[kind], resources.map(({ bytes }) => sorted(toJson(type, fromBinary(type, bytes), { registry })))];
  });
  return Object.fromEntries(shown.filter(([, resources]) => (resources ?? []).length > 0));
}
