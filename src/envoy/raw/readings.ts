import { contentOf, type ProxyTemplate, resourcePath } from "../../resources/proxy-template.js";
import type { Stored } from "../../store/store.js";
import { builtInApi, type EnvoyApi } from "./api.js";
import { problemText, type RawEnvoyResource, type RawReading, readRaw } from "./native.js";

/** A raw resource that can't be sent to an Envoy. */
export interface Unreadable {
  /** Its path in the template. */
  readonly field: string;
  readonly reason: string;
}

/** A valid raw resource, and its path in the template. */
export interface Readable extends RawEnvoyResource, Pick<Unreadable, "field"> {}

/** The parsed raw resources of a template. */
export interface RawResources {
  /** In the order of the template. */
  readonly resources: readonly Readable[];
  readonly unreadable: readonly Unreadable[];
  /** Whether some use names that the built-in API does not have and a newer one may have. */
  readonly needNewer: boolean;
}

/** Whether a newer API may accept everything that is wrong with a resource. */
const mayBeNewer = (reading: RawReading): boolean => !reading.valid && reading.problems.every(({ newer }) => newer);

function readAll({ spec }: Stored<ProxyTemplate>, newer: EnvoyApi | undefined): RawResources {
  const resources: Readable[] = [];
  const unreadable: Unreadable[] = [];
  let needNewer = false;
  for (const [index, { resource: text = "" }] of contentOf(spec).resources.entries()) {
    let [reading, api] = [readRaw(text), builtInApi()];
    if (mayBeNewer(reading)) {
      needNewer = true;
      if (newer !== undefined) [reading, api] = [readRaw(text, newer), newer];
    }
    const field = `${resourcePath(spec, index)}.resource`;
    if (reading.valid) resources.push({ ...reading.raw, field });
    else {
      const reason = reading.problems.map((problem) => problemText(problem, api)).join("; ");
      unreadable.push({ field, reason });
    }
  }
  return { resources, unreadable, needNewer };
}

interface Known {
  readonly newer: EnvoyApi | undefined;
  readonly read: RawResources;
}

/** A template is parsed once for all proxies: a stored version never changes. */
const known = new WeakMap<Stored<ProxyTemplate>, Known>();

/**
 * Parses the raw resources of a stored template with the built-in API and, where that lacks names, with a `newer` one.
 * The API server rejects invalid resources, but another version may have stored one: only that resource is left out.
 */
export function rawResourcesOf(template: Stored<ProxyTemplate>, newer: EnvoyApi | undefined): RawResources {
  const before = known.get(template);
  if (before !== undefined && (before.newer === newer || !before.read.needNewer)) return before.read;
  const read = readAll(template, newer);
  known.set(template, { newer, read });
  return read;
}
