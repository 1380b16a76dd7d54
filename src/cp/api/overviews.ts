import type { Steps } from "../../lib/steps.js";
import type { Call } from "../../net/endpoints.js";
import { type HttpReply, type HttpRequest, jsonReply, renderedReply } from "../../net/exchange.js";
import { inSlices } from "../../net/slices.js";
import { matchesDataplane } from "../../policy/selector.js";
import { type Dataplane, dataplaneType } from "../../resources/dataplane.js";
import { type DataplaneHealth, dataplaneHealthType } from "../../resources/dataplane-health.js";
import { type DataplaneInsight, dataplaneInsightType } from "../../resources/dataplane-insight.js";
import { dataplaneOverviewType, overviewOf } from "../../resources/dataplane-overview.js";
import { toJson } from "../../resources/envelope.js";
import type { Tags } from "../../resources/tags.js";
import { readStored } from "../../store/read.js";
import type { Stored } from "../../store/store.js";
import { type ReadContext, type ReadEndpoint, reads } from "./endpoint.js";
import { errors, titles } from "./errors.js";
import { asElement, listBody } from "./listing.js";
import { onPage, pageEnd, parsePage } from "./paging.js";
import { pathsOf } from "./resources.js";

type InMesh = { readonly mesh: string };

/** Overviews are not stored: each is joined from resources of several types. */
export const overviewEndpoints = ({ store }: ReadContext): readonly ReadEndpoint[] => [
  reads({
    ...pathsOf(dataplaneOverviewType),
    title: titles.listOverviews,
    handle: ({ request, parameters: { mesh } }: Call<InMesh>) => listOverviews(store, mesh, request),
  }),
  reads({
    ...pathsOf(dataplaneOverviewType, "/{name}"),
    title: titles.retrieveOverview,
    handle: ({ parameters: { mesh, name } }: Call<InMesh & { readonly name: string }>) =>
      getOverview(store, mesh, name),
  }),
];

/**
 * The `tag=key:value` parameters. The first colon separates, so a value may contain a port; parameters without one are
 * ignored, and the last one wins for the same key.
 */
export function tagFilter(query: string): Tags {
  if (query === "") return {};
  const tags = new URLSearchParams(query).getAll("tag").filter((tag) => tag.includes(":"));
  return Object.fromEntries(tags.map((tag) => [tag.slice(0, tag.indexOf(":")), tag.slice(tag.indexOf(":") + 1)]));
}

const overview = (dataplane: Stored<Dataplane>, insight?: DataplaneInsight, health?: DataplaneHealth) =>
  toJson(overviewOf(dataplane, insight, health));

const byName = <Spec>(resources: readonly Stored<Spec>[]) => new Map(resources.map(({ name, spec }) => [name, spec]));

/** Maximum size of a list that is rendered whole: overviews change all the time and are rendered for each client. */
const wholeBytes = 256 * 1024;

function* matching(dataplanes: readonly Stored<Dataplane>[], wanted: Tags): Steps<Stored<Dataplane>[]> {
  const found: Stored<Dataplane>[] = [];
  for (const dataplane of dataplanes) {
    yield;
    if (matchesDataplane(wanted, dataplane.spec)) found.push(dataplane);
  }
  return found;
}

/** The Dataplanes of a mesh, each with its insight and health, if any. */
async function listOverviews(store: ReadContext["store"], mesh: string, request: HttpRequest): Promise<HttpReply> {
  const page = parsePage(request.query, titles.listOverviews);
  if (page !== undefined && "status" in page) return page;
  const wanted = tagFilter(request.query);
  const [dataplanes, insights, healths] = await Promise.all([
    store.list(dataplaneType, mesh),
    store.list(dataplaneInsightType, mesh).then(byName),
    store.list(dataplaneHealthType, mesh).then(byName),
  ]);
  const members = await inSlices(matching(dataplanes, wanted));
  function* elements(shown: readonly Stored<Dataplane>[]): Generator<string> {
    for (const member of shown) {
      const { name } = member;
      yield asElement(JSON.stringify(overview(member, insights.get(name), healths.get(name)), null, 1));
    }
  }
  if (page === undefined) return renderedReply(await listBody(elements(members), wholeBytes));
  const end = pageEnd(request, page, members.length);
  return renderedReply(await listBody(elements(onPage(members, page)), wholeBytes, end));
}

/** One Dataplane with its insight, which is `{}` if its proxy never connected. */
async function getOverview(store: ReadContext["store"], mesh: string, name: string): Promise<HttpReply> {
  const [dataplane, insight, health] = await Promise.all([
    readStored(store, dataplaneType, { mesh, name }),
    readStored(store, dataplaneInsightType, { mesh, name }),
    readStored(store, dataplaneHealthType, { mesh, name }),
  ]);
  if (dataplane === undefined) return errors.notFound(titles.retrieveOverview);
  return jsonReply(200, overview(dataplane, insight?.spec ?? {}, health?.spec));
}
