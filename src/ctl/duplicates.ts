import { visible } from "../lib/visible.js";
import { type DataplaneOverview, dataplaneOverviewType, openSubscriptions } from "../resources/dataplane-overview.js";
import { fromJson } from "../resources/envelope.js";

/** One readable line for each of these overviews (as the API returns them) with more than one open stream. */
export function duplicateLines(items: readonly unknown[]): string {
  return items
    .map((item) => {
      const { envelope, spec } = fromJson<DataplaneOverview>(dataplaneOverviewType, item, "lenient");
      const open = openSubscriptions(spec);
      if (open.length < 2) return "";
      const [{ connectTime: first = "" } = {}] = open;
      const last = open.at(-1)?.connectTime ?? "";
      return (
        `${open.length} proxies are connected as ${visible(`"${envelope.name}", the first since ${first} and the last since ${last}`)}: ` +
        "a second kuma-dp of that name runs, or a connection was lost, which is noticed within about a minute\n"
      );
    })
    .join("");
}
