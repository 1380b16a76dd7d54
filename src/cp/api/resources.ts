import type { Call } from "../../net/endpoints.js";
import { renderedReply } from "../../net/exchange.js";
import { dataplaneOverviewType } from "../../resources/dataplane-overview.js";
import type { Registry } from "../../resources/registry.js";
import type { ResourceType } from "../../resources/resource.js";
import type { Key } from "../../store/store.js";
import {
  type ReadContext,
  type ReadEndpoint,
  reads,
  type WriteContext,
  type WriteEndpoint,
  writes,
} from "./endpoint.js";
import { errors, titles } from "./errors.js";
import { onPage, pageEnd, parsePage } from "./paging.js";
import { put, remove } from "./writes.js";

/** Global types have no `mesh`. */
type ListCall = Call<{ readonly mesh?: string }>;
type ItemCall = Call<{ readonly mesh?: string; readonly name: string }>;

/** Types whose resources are exposed as stored; overviews are joined from several. */
const shownTypes = ({ types }: Registry) =>
  types.filter((type) => type.access !== "internal" && type.name !== dataplaneOverviewType.name);

/** The paths of a type's list or, with `behind`, of its items. */
export function pathsOf({ scope, path, pathAliases }: ResourceType, behind = "") {
  const pattern = (segment: string) => `${scope === "mesh" ? "/meshes/{mesh}" : ""}/${segment}${behind}`;
  return { path: pattern(path), aliases: pathAliases.map(pattern) };
}

/** The key of a resource: the mesh of a Mesh is its own name, other global resources have none. */
function keyOf(type: ResourceType, { parameters: { mesh, name } }: ItemCall): Key {
  return { type: type.name, mesh: mesh ?? (type.name === "Mesh" ? name : ""), name };
}

export function resourceReads({ registry, store, renderer }: ReadContext): readonly ReadEndpoint[] {
  return shownTypes(registry).flatMap((type) => [
    reads({
      ...pathsOf(type),
      title: titles.list,
      async handle({ request, parameters: { mesh } }: ListCall) {
        const page = parsePage(request.query, titles.list);
        if (page !== undefined && "status" in page) return page;
        const members = await store.list(type, mesh);
        if (page !== undefined) {
          return renderedReply(await renderer.page(onPage(members, page), pageEnd(request, page, members.length)));
        }
        return renderedReply(await renderer.list(`${type.name}\n${mesh ?? ""}`, members));
      },
    }),
    reads({
      ...pathsOf(type, "/{name}"),
      title: titles.retrieve,
      async handle(call: ItemCall) {
        const stored = await store.get(keyOf(type, call));
        return stored === undefined ? errors.notFound(titles.retrieve) : renderedReply(renderer.item(stored));
      },
    }),
  ]);
}

export function resourceWrites(context: WriteContext): readonly WriteEndpoint[] {
  const written = shownTypes(context.registry).filter(({ access }) => access === "full");
  return written.flatMap((type) => [
    writes("PUT", "write", {
      ...pathsOf(type, "/{name}"),
      title: titles.process,
      handle: (call: ItemCall) => put(context, type, keyOf(type, call), call.request),
    }),
    writes("DELETE", "write", {
      ...pathsOf(type, "/{name}"),
      title: titles.delete,
      handle: (call: ItemCall) => remove(context.store, type, keyOf(type, call)),
    }),
  ]);
}
