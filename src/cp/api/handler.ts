import type { SiteGuard } from "../../net/cross-site.js";
import { type EndpointLayer, serveEndpoints } from "../../net/endpoints.js";
import type { HttpHandler } from "../../net/exchange.js";
import type { ApiContext } from "./endpoint.js";
import { type ApiTable, apiTable } from "./endpoints.js";
import { crossOrigin, failures, mediaTypes, sameSiteWrites } from "./layers.js";
import { createRenderer } from "./rendering.js";

export interface ApiOptions extends Omit<ApiContext, "renderer"> {
  readonly guard: SiteGuard;
  /** Rejects every write: the paths exist, but writing methods are not allowed. */
  readonly readOnly: boolean;
  /** Access control; outside of all other layers. */
  readonly layers: readonly EndpointLayer[];
}

/** The handler of the HTTP API; it answers every request and never throws. */
export function apiHandler(options: ApiOptions, { readers, writers }: ApiTable = apiTable): HttpHandler {
  const { guard, readOnly, layers, logger } = options;
  const context: ApiContext = { ...options, renderer: createRenderer() };
  const shown = readers.flatMap((endpoints) => endpoints(context));
  const written = writers.flatMap((endpoints) => endpoints(context));
  return serveEndpoints({
    endpoints: [...shown, ...written.map((endpoint) => (readOnly ? { ...endpoint, methods: [] } : endpoint))],
    layers: [
      ...layers,
      crossOrigin(guard, [...shown, ...written]),
      sameSiteWrites(guard),
      mediaTypes,
      failures(logger),
    ],
    suggests: true,
  });
}
