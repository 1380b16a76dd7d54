import type { DataplaneOverview } from "../resources/dataplane-overview.js";
import { dataplaneOverviewType } from "../resources/dataplane-overview.js";
import { fromJson } from "../resources/envelope.js";
import { oneLine } from "./one-line.js";

/** A resource that a connected proxy currently rejects. */
export interface Refused {
  readonly mesh: string;
  readonly dataplane: string;
  /** The discovery service: cds, eds, lds, rds or sds. */
  readonly type: string;
  readonly resource: string;
  /** Envoy's error message. */
  readonly reason: string;
}

/** The resources that the proxies of these overviews (as the API returns them) reject. */
export function refusedIn(items: readonly unknown[]): Refused[] {
  return items.flatMap((item) => {
    const { envelope, spec } = fromJson<DataplaneOverview>(dataplaneOverviewType, item, "lenient");
    const open = spec.dataplaneInsight?.subscriptions?.filter(({ disconnectTime }) => disconnectTime === undefined);
    const refused = open?.flatMap(({ status }) => status?.refused ?? []) ?? [];
    return refused.map(({ type = "", name = "", reason = "" }) => ({
      mesh: envelope.mesh ?? "",
      dataplane: envelope.name ?? "",
      type,
      resource: name,
      reason,
    }));
  });
}

/** One readable line for each. */
export const refusalLines = (refused: readonly Refused[]): string =>
  refused
    .map(
      ({ dataplane, type, resource, reason }) =>
        `${oneLine(`Envoy of "${dataplane}" refuses ${type.toUpperCase()} resource "${resource}": ${reason}`)}\n`,
    )
    .join("");
