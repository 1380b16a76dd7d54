import { nearest } from "../../lib/suggest.js";
import type { Registry } from "../../resources/registry.js";
import type { ResourceType } from "../../resources/resource.js";
import type { Key } from "../../store/store.js";

/** What a path of the API names. */
export type Target =
  | { readonly kind: "index" }
  | { readonly kind: "catalogue" }
  | { readonly kind: "config" }
  /** `mesh` is absent for global types. */
  | { readonly kind: "list"; readonly type: ResourceType; readonly mesh: string | undefined }
  | { readonly kind: "item"; readonly type: ResourceType; readonly key: Key }
  | { readonly kind: "overviews"; readonly mesh: string }
  | { readonly kind: "overview"; readonly mesh: string; readonly name: string }
  | { readonly kind: "authorities" }
  | { readonly kind: "unregistered" }
  | { readonly kind: "authority"; readonly mesh: string }
  | { readonly kind: "rotation"; readonly mesh: string }
  /** About one Dataplane: the policies that touch it, and its Envoy configuration. */
  | { readonly kind: "policies" | "xds"; readonly mesh: string; readonly name: string }
  | { readonly kind: "explain" | "problems"; readonly mesh: string }
  /** How the control plane itself is. */
  | { readonly kind: "status" };

const overviewPaths: readonly string[] = ["dataplanes+insights", "dataplane+insights"];
const meshesPath = "meshes";
const authoritiesPath = "certificate-authorities";
const unregisteredPath = "unregistered-proxies";
const authorityPath = "certificate-authority";
const rotatePath = "rotate";
const dataplanesPath = "dataplanes";
const explainPath = "explain";
const problemsPath = "problems";
const statusPath = "status";

const isAspect = (segment: string | undefined): segment is "policies" | "xds" =>
  segment === "policies" || segment === "xds";

/** The key of a resource: a Mesh is its own mesh, other global resources belong to none. */
export function keyOf(type: ResourceType, mesh: string | undefined, name: string): Key {
  return { type: type.name, mesh: mesh ?? (type.name === "Mesh" ? name : ""), name };
}

/** Reads paths for one registry; trailing slashes and percent-encoding are taken, anything unknown is undefined. */
export function createTargets(registry: Registry) {
  const reachable = registry.types.filter(({ access }) => access !== "internal");
  const byPath = (scope: ResourceType["scope"]) =>
    new Map(
      reachable
        .filter((type) => type.scope === scope)
        .flatMap((type) => [type.path, ...type.pathAliases].map((path) => [path, type] as const)),
    );
  const globals = byPath("global");
  const inMesh = byPath("mesh");
  for (const path of overviewPaths) inMesh.delete(path);

  function resolve(path: string): Target | undefined {
    const segments = split(path);
    if (segments === undefined) return undefined;
    const [first, second, third, fourth, fifth] = segments;
    if (first === undefined) return { kind: "index" };
    if (first === meshesPath && second !== undefined && third !== undefined) {
      if (segments.length === 5 && third === dataplanesPath && fourth !== undefined && isAspect(fifth)) {
        return { kind: fifth, mesh: second, name: fourth };
      }
      if (segments.length > 4) return undefined;
      if (third === explainPath || third === problemsPath) {
        return fourth === undefined ? { kind: third, mesh: second } : undefined;
      }
      if (overviewPaths.includes(third)) {
        return fourth === undefined
          ? { kind: "overviews", mesh: second }
          : { kind: "overview", mesh: second, name: fourth };
      }
      if (third === authorityPath) {
        if (fourth === undefined) return { kind: "authority", mesh: second };
        return fourth === rotatePath ? { kind: "rotation", mesh: second } : undefined;
      }
      return ofType(inMesh.get(third), second, fourth);
    }
    if (segments.length > 2) return undefined;
    const type = globals.get(first);
    if (type !== undefined) return ofType(type, undefined, second);
    if (second !== undefined) return undefined;
    if (first === authoritiesPath) return { kind: "authorities" };
    if (first === statusPath) return { kind: "status" };
    if (first === unregisteredPath) return { kind: "unregistered" };
    if (first === "catalogue" || first === "catalog") return { kind: "catalogue" };
    return first === "config" ? { kind: "config" } : undefined;
  }

  /** The path that was probably meant by one that does not exist. */
  function suggest(path: string): string | undefined {
    const [first = "", mesh, third, ...rest] = split(path) ?? [];
    const top = nearest(first, [
      ...globals.keys(),
      authoritiesPath,
      unregisteredPath,
      "catalogue",
      "config",
      statusPath,
    ]);
    if (third === undefined || top !== meshesPath) return top === undefined ? undefined : `/${top}`;
    const collection = nearest(third, [...inMesh.keys(), ...overviewPaths, authorityPath, explainPath, problemsPath]);
    return collection === undefined ? undefined : ["", top, mesh, collection, ...rest.slice(0, 1)].join("/");
  }

  return { resolve, suggest };
}

function ofType(
  type: ResourceType | undefined,
  mesh: string | undefined,
  name: string | undefined,
): Target | undefined {
  if (type === undefined) return undefined;
  return name === undefined ? { kind: "list", type, mesh } : { kind: "item", type, key: keyOf(type, mesh, name) };
}

/** Decoded segments, without the one trailing slash that is allowed; undefined for empty or undecodable ones. */
function split(path: string): string[] | undefined {
  if (!path.startsWith("/")) return undefined;
  const end = path.endsWith("/") ? path.length - 1 : path.length;
  if (end <= 0) return [];
  const segments = path.slice(1, end).split("/");
  if (segments.includes("")) return undefined;
  if (!path.includes("%")) return segments;
  try {
    return segments.map(decodeURIComponent);
  } catch {
    // A stray percent sign names nothing that could exist.
    return undefined;
  }
}
