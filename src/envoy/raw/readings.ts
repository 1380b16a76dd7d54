import { contentOf, type ProxyTemplate, resourcePath } from "../../resources/proxy-template.js";
import type { Stored } from "../../store/store.js";
import { builtInApi, type EnvoyApi } from "./api.js";
import { problemText, type RawEnvoyResource, type RawReading, readRaw } from "./native.js";

/** A raw resource that can't be sent to an Envoy. */
export interface Unreadable {
  /** Where it stands in its template. */
  readonly field: string;
  readonly reason: string;
}

/** One that can be, and where it stands. */
export interface Readable extends RawEnvoyResource, Pick<Unreadable, "field"> {}

/** What a template's raw resources are to an Envoy. */
export interface RawResources {
  /** In the order in which the template has them. */
  readonly resources: readonly Readable[];
  readonly unreadable: readonly Unreadable[];
  /** Whether some are beyond our API, and a newer one may know them. */
  readonly needNewer: boolean;
}

/** True when all that is wrong with a resource may be right by a newer API. */
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

/** A template is read once for all proxies: what is stored under a version never changes. */
const known = new WeakMap<Stored<ProxyTemplate>, Known>();

/**
 * Reads the raw resources of a stored template by the API that we carry along and, where that does not know enough, by a
 * `newer` one. The door refuses what nobody can read, but another version may have stored it: that is left out, alone.
 */
export function rawResourcesOf(template: Stored<ProxyTemplate>, newer: EnvoyApi | undefined): RawResources {
  const before = known.get(template);
  if (before !== undefined && (before.newer === newer || !before.read.needNewer)) return before.read;
  const read = readAll(template, newer);
  known.set(template, { newer, read });
  return read;
}
