import { type HttpReply, jsonReply } from "../../net/exchange.js";
import type { Dataplane } from "../../resources/dataplane.js";
import type { Store, Stored } from "../../store/store.js";
import { errors, titles } from "./errors.js";

type TagFilter = ReadonlyMap<string, string>;

/**
 * The `tag=key:value` parameters: the first colon separates, so that a value may hold a port; parameters without one
 * are ignored, and of the same key the last counts.
 */
export function tagFilter(query: string): TagFilter {
  const wanted = new Map<string, string>();
  if (query === "") return wanted;
  for (const tag of new URLSearchParams(query).getAll("tag")) {
    const colon = tag.indexOf(":");
    if (colon >= 0) wanted.set(tag.slice(0, colon), tag.slice(colon + 1));
  }
  return wanted;
}

/** True when one inbound carries all wanted tags; `*` stands for any value. */
function passes({ networking }: Dataplane, wanted: TagFilter): boolean {
  if (wanted.size === 0) return true;
  return (networking?.inbound ?? []).some(({ tags = {} }) =>
    [...wanted].every(([key, value]) => Object.hasOwn(tags, key) && (value === "*" || tags[key] === value)),
  );
}

const overview = ({ mesh, name, spec }: Stored, insight: unknown) => ({
  type: "DataplaneOverview",
  mesh,
  name,
  dataplane: spec,
  ...(insight === undefined ? {} : { dataplaneInsight: insight }),
});

/** The Dataplanes of a mesh, each joined with what its proxy did; without it when it never connected. */
export async function listOverviews(store: Store, mesh: string, query: string): Promise<HttpReply> {
  const wanted = tagFilter(query);
  const [dataplanes, insights] = await Promise.all([
    store.list("Dataplane", mesh),
    store.list("DataplaneInsight", mesh),
  ]);
  const byName = new Map(insights.map(({ name, spec }) => [name, spec]));
  const items = dataplanes
    .filter(({ spec }) => passes(spec as Dataplane, wanted))
    .map((dataplane) => overview(dataplane, byName.get(dataplane.name)));
  return jsonReply(200, { items });
}

/** One Dataplane with its insight, which is `{}` when it never connected. */
export async function getOverview(store: Store, mesh: string, name: string): Promise<HttpReply> {
  const [dataplane, insight] = await Promise.all([
    store.get({ type: "Dataplane", mesh, name }),
    store.get({ type: "DataplaneInsight", mesh, name }),
  ]);
  if (dataplane === undefined) return errors.notFound(titles.retrieveOverview);
  return jsonReply(200, overview(dataplane, insight?.spec ?? {}));
}
