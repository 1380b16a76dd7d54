import { serviceTag, type Tags } from "./tags.js";

/** Anything with inbounds: a Dataplane or a projection of one. */
interface Tagged {
  readonly networking?: { readonly inbound?: readonly { readonly tags?: Tags }[] };
}

/** All values of each tag, over all inbounds. */
function collect({ networking }: Tagged): Map<string, Set<string>> {
  const values = new Map<string, Set<string>>();
  for (const { tags = {} } of networking?.inbound ?? []) {
    for (const [key, value] of Object.entries(tags)) {
      const known = values.get(key);
      if (known === undefined) values.set(key, new Set([value]));
      else known.add(value);
    }
  }
  return values;
}

/** The tags of all inbounds as tables show them: `service=metrics,mobile version=v1`. */
export function displayTags(dataplane: Tagged): string {
  return [...collect(dataplane)]
    .map(([key, values]) => `${key}=${[...values].sort().join(",")}`)
    .sort()
    .join(" ");
}

/** The service that identifies the Dataplane: the first one alphabetically, or `unknown`. */
export function identifyingService({ networking }: Tagged): string {
  let first: string | undefined;
  for (const { tags } of networking?.inbound ?? []) {
    const service = tags?.[serviceTag];
    if (service !== undefined && (first === undefined || service < first)) first = service;
  }
  return first ?? "unknown";
}
