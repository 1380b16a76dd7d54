import { visible } from "../lib/visible.js";
import { type DataplaneOverview, dataplaneOverviewType, downPorts } from "../resources/dataplane-overview.js";
import { fromJson } from "../resources/envelope.js";

/** One readable line for each application in these overviews (as the API returns them) that is down. */
export function applicationLines(items: readonly unknown[]): string {
  return items
    .flatMap((item) => {
      const { envelope, spec } = fromJson<DataplaneOverview>(dataplaneOverviewType, item, "lenient");
      return downPorts(spec).map(
        (port) => `the application of ${visible(`"${envelope.name}"`)} does not accept connections on port ${port}\n`,
      );
    })
    .join("");
}
