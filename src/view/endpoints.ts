import type { Map as PersistentMap } from "immutable";
import type { Endpoint, Service } from "./mesh-view.js";

const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);

function tagsText(endpoint: Endpoint): string {
  return JSON.stringify(Object.entries(endpoint.tags).sort(([a], [b]) => compare(a, b)));
}

/** Whether two endpoint lists are equal, including their order. */
export function sameEndpoints(a: readonly Endpoint[] | undefined, b: readonly Endpoint[] | undefined): boolean {
  if (a === b) return true;
  if (a === undefined || b === undefined || a.length !== b.length) return false;
  return a.every((endpoint, index) => {
    const other = b[index];
    return (
      other !== undefined &&
      endpoint.address === other.address &&
      endpoint.port === other.port &&
      endpoint.down === other.down &&
      tagsText(endpoint) === tagsText(other)
    );
  });
}

function sorted(members: PersistentMap<string, readonly Endpoint[]>): readonly Endpoint[] {
  const all: { endpoint: Endpoint; tags: string }[] = [];
  for (const endpoints of members.values()) {
    for (const endpoint of endpoints) all.push({ endpoint, tags: tagsText(endpoint) });
  }
  all.sort(
    (a, b) =>
      compare(a.endpoint.address, b.endpoint.address) || a.endpoint.port - b.endpoint.port || compare(a.tags, b.tags),
  );
  const distinct = all.filter((item, index) => {
    const before = all[index - 1];
    return (
      before === undefined ||
      before.endpoint.address !== item.endpoint.address ||
      before.endpoint.port !== item.endpoint.port ||
      before.tags !== item.tags
    );
  });
  return distinct.map((item) => item.endpoint);
}

/**
 * A service with these members. Endpoints are sorted on first read, because a listing adds the members of a large
 * service one by one.
 */
export function createService(members: PersistentMap<string, readonly Endpoint[]>): Service {
  let endpoints: readonly Endpoint[] | undefined;
  return {
    members,
    get endpoints() {
      endpoints ??= sorted(members);
      return endpoints;
    },
  };
}
