import type { SiteGuard } from "../../net/cross-site.js";
import { type EndpointLayer, serveEndpoints } from "../../net/endpoints.js";
import type { HttpHandler } from "../../net/exchange.js";
import type { ApiContext } from "./endpoint.js";
import { type ApiTable, apiTable } from "./endpoints.js";
import { crossOrigin, failures, mediaTypes, sameSiteWrites } from "./layers.js";
import { createRenderer } from "./rendering.js";

export interface ApiOptions extends Omit<ApiContext, "renderer"> {
  readonly guard: SiteGuard;
  /** Refuses every write; the paths stay, without a method. */
  readonly readOnly: boolean;
  /** Who may use which endpoint; around everything else. */
  readonly layers: readonly EndpointLayer[];
}

/** The HTTP API over a registry and a store; it answers every request and never throws. */
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
