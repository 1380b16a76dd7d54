import type { Steps } from "../../lib/steps.js";
import { inSlices } from "../../net/slices.js";
import { destinationText } from "../../policy/explain/problems.js";
import { matchesTags } from "../../policy/selector.js";
import { type Dataplane, dataplaneType } from "../../resources/dataplane.js";
import { serviceTag, type Tags } from "../../resources/tags.js";
import type { TrafficRoute } from "../../resources/traffic-route.js";
import type { Stored } from "../../store/store.js";
import type { ChangeWarnings } from "./change.js";

/** Maximum destinations in warnings, one sentence each. */
const mostWarned = 5;

/** The tags of all inbounds, by service: most destinations match few of them. */
function* tagsByService(dataplanes: readonly Stored<Dataplane>[]): Steps<ReadonlyMap<string, readonly Tags[]>> {
  const found = new Map<string, Tags[]>();
  for (const { spec } of dataplanes) {
    yield;
    for (const { tags = {} } of spec.networking?.inbound ?? []) {
      const service = tags[serviceTag] ?? "";
      const known = found.get(service);
      if (known === undefined) found.set(service, [tags]);
      else known.push(tags);
    }
  }
  return found;
}

interface Nowhere {
  readonly weight: number;
  readonly destination: Tags;
}

/** Destinations that match no inbound. */
function* nowhere(spec: TrafficRoute, dataplanes: readonly Stored<Dataplane>[]): Steps<Nowhere[]> {
  const offered = yield* tagsByService(dataplanes);
  const found: Nowhere[] = [];
  for (const { weight = 0, destination = {} } of spec.conf ?? []) {
    yield;
    if (weight === 0) continue;
    const candidates = offered.get(destination[serviceTag] ?? "") ?? [];
    if (!candidates.some((tags) => matchesTags(destination, tags))) found.push({ weight, destination });
  }
  return found;
}

/** Warns about connections that a route closes, because its destinations have no endpoints. */
export const routeWarnings: ChangeWarnings<TrafficRoute> = async ({ key, spec }, store) => {
  const total = (spec.conf ?? []).reduce((sum, { weight = 0 }) => sum + weight, 0);
  if (total === 0) return ["no destination has any weight: the connections that it matches are closed"];
  const missing = await inSlices(nowhere(spec, await store.list(dataplaneType, key.mesh)));
  const more = missing.length - mostWarned;
  return [
    ...missing
      .slice(0, mostWarned)
      .map(
        ({ weight, destination }) =>
          `no dataplane offers ${destinationText(destination)} at present: connections that it sends there, ${weight} of ` +
          `${total}, are closed`,
      ),
    ...(more > 0 ? [`nor does any dataplane offer ${more} more of its destinations`] : []),
  ];
};
