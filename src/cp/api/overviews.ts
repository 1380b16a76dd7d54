import { type HttpReply, jsonReply } from "../../net/exchange.js";
import { matchesDataplane } from "../../policy/selector.js";
import type { Dataplane } from "../../resources/dataplane.js";
import type { DataplaneInsight } from "../../resources/dataplane-insight.js";
import { overviewOf } from "../../resources/dataplane-overview.js";
import { toJson } from "../../resources/envelope.js";
import type { Tags } from "../../resources/tags.js";
import type { Store, Stored } from "../../store/store.js";
import { errors, titles } from "./errors.js";

/**
 * The `tag=key:value` parameters: the first colon separates, so that a value may hold a port; parameters without one
 * are ignored, and of the same key the last counts.
 */
export function tagFilter(query: string): Tags {
  if (query === "") return {};
  const tags = new URLSearchParams(query).getAll("tag").filter((tag) => tag.includes(":"));
  return Object.fromEntries(tags.map((tag) => [tag.slice(0, tag.indexOf(":")), tag.slice(tag.indexOf(":") + 1)]));
}

const overview = (dataplane: Stored, insight: unknown) =>
  toJson(overviewOf(dataplane as Stored<Dataplane>, insight as DataplaneInsight | undefined));

/** The Dataplanes of a mesh, each joined with what its proxy did; without it when it never connected. */
export async function listOverviews(store: Store, mesh: string, query: string): Promise<HttpReply> {
  const wanted = tagFilter(query);
  const [dataplanes, insights] = await Promise.all([
    store.list("Dataplane", mesh),
    store.list("DataplaneInsight", mesh),
  ]);
  const byName = new Map(insights.map(({ name, spec }) => [name, spec]));
  const items = dataplanes
    .filter(({ spec }) => matchesDataplane(wanted, spec as Dataplane))
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
