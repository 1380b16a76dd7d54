import type { Logger } from "../../lib/logger.js";
import type { SiteGuard } from "../../net/cross-site.js";
import type { Call, Endpoint, EndpointLayer } from "../../net/endpoints.js";
import { type HttpReply, type HttpRequest, jsonType } from "../../net/exchange.js";
import { foreignMediaType } from "../../net/media-type.js";
import { StoreError } from "../../store/store.js";
import { errors } from "./errors.js";
import { accepts } from "./negotiation.js";
import { FailedOperation } from "./writes.js";

const originHeaders = (origin: string) => ({ "Access-Control-Allow-Origin": origin, Vary: "Origin" });

async function withOrigin(reply: HttpReply | Promise<HttpReply>, origin: string): Promise<HttpReply> {
  const answered = await reply;
  return { ...answered, headers: { ...answered.headers, ...originHeaders(origin) } };
}

/** CORS: answers preflight requests of allowed origins, and lets them read every response. */
export function crossOrigin(guard: SiteGuard, endpoints: readonly Endpoint[]): EndpointLayer {
  const methods = new Set(endpoints.flatMap((endpoint) => endpoint.methods));
  // POST is always allowed by CORS: browsers only ask for its headers.
  methods.delete("POST");
  const allowed = {
    "Access-Control-Allow-Methods": [...methods].join(", "),
    "Access-Control-Allow-Headers": "Accept, Content-Type",
  };
  return (handler) => (call) => {
    const { headers, method } = call.request;
    const origin = guard.allowedOrigin(headers);
    if (origin === undefined) return handler(call);
    if (method === "OPTIONS") return { status: 200, headers: { ...originHeaders(origin), ...allowed } };
    return withOrigin(handler(call), origin);
  };
}

/** Rejects cross-site writes from browsers. */
export const sameSiteWrites =
  (guard: SiteGuard): EndpointLayer =>
  (handler) =>
  (call) =>
    call.endpoint !== undefined && call.endpoint.access !== "read" && guard.refuses(call.request.headers)
      ? errors.crossSite()
      : handler(call);

/** Rejects bodies with a media type other than JSON, and clients that don't accept the endpoint's media type. */
export const mediaTypes: EndpointLayer = (handler) => (call) => {
  const { endpoint, request } = call;
  if (endpoint === undefined) return handler(call);
  const foreign = request.method === "PUT" ? foreignMediaType(request.headers) : undefined;
  if (foreign !== undefined) return errors.unsupportedMediaType(foreign);
  const { produces = jsonType } = endpoint;
  return accepts(request.headers, produces) ? handler(call) : errors.notAcceptable(produces);
};

/**
 * Turns exceptions of an endpoint into error responses with its title. Everything but an unavailable store is logged.
 */
export function failures(logger: Logger): EndpointLayer {
  function failure({ title }: Endpoint, { method, path }: HttpRequest, error: unknown): HttpReply {
    const failed = error instanceof FailedOperation ? error : new FailedOperation(title, error);
    if (failed.cause instanceof StoreError && failed.cause.kind === "unavailable") {
      const { cause } = failed.cause;
      return errors.storeUnavailable(failed.title, cause instanceof Error ? cause.message : undefined);
    }
    logger.error(failed.title, { method, path, error: failed.cause });
    return errors.internal(failed.title);
  }

  return (handler) => {
    const attempt = async (call: Call, endpoint: Endpoint) => {
      try {
        return await handler(call);
      } catch (error) {
        return failure(endpoint, call.request, error);
      }
    };
    return (call) => (call.endpoint === undefined ? handler(call) : attempt(call, call.endpoint));
  };
}
