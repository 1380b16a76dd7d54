import type { SiteGuard } from "../../net/cross-site.js";
import { type Access, type EndpointLayer, serveEndpoints } from "../../net/endpoints.js";
import type { HttpHandler, HttpReply } from "../../net/exchange.js";
import type { ApiContext } from "./endpoint.js";
import { type ApiTable, apiTable } from "./endpoints.js";
import { crossOrigin, failures, mediaTypes, sameSiteWrites } from "./layers.js";
import { createRenderer } from "./rendering.js";

export interface ApiOptions extends Omit<ApiContext, "renderer"> {
  readonly guard: SiteGuard;
  /** Rejects every write: the paths exist, but writing methods are not allowed. */
  readonly readOnly: boolean;
  /** The answer to every write, in place of that. */
  readonly refusal?: () => HttpReply;
  /** Access control; outside of all other layers. */
  readonly layers: readonly EndpointLayer[];
}

const writing: ReadonlySet<Access> = new Set(["write", "rotate"]);

/** Refuses writes before anything else of the request is looked at: who sent it makes no difference. */
const refuseWrites =
  (refusal: () => HttpReply): EndpointLayer =>
  (handler) =>
  (call) =>
    call.endpoint !== undefined && writing.has(call.endpoint.access) ? refusal() : handler(call);

/** The handler of the HTTP API; it answers every request and never throws. */
export function apiHandler(options: ApiOptions, { readers, writers }: ApiTable = apiTable): HttpHandler {
  const { guard, readOnly, refusal, layers, logger } = options;
  const context: ApiContext = { ...options, renderer: createRenderer() };
  const shown = readers.flatMap((endpoints) => endpoints(context));
  const written = writers.flatMap((endpoints) => endpoints(context));
  return serveEndpoints({
    endpoints: [
      ...shown,
      ...written.map((endpoint) => (readOnly && !refusal ? { ...endpoint, methods: [] } : endpoint)),
    ],
    layers: [
      ...(refusal === undefined ? [] : [refuseWrites(refusal)]),
      ...layers,
      crossOrigin(guard, [...shown, ...written]),
      sameSiteWrites(guard),
      mediaTypes,
      failures(logger),
    ],
    suggests: true,
  });
}
