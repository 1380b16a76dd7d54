import {
  type HttpHandler,
  type HttpReply,
  type HttpRequest,
  layered,
  methodNotAllowed,
  pathNotFound,
} from "./exchange.js";
import { createPathTree, parameterNames } from "./path-tree.js";

/**
 * The permission that an endpoint requires. Everyone who reaches the port has `read` and `proxy`; a kuma-dp uses
 * `proxy` for requests and reports about its Dataplane. `view-secrets` comes with a token. The others are reserved for
 * the machine's administrator where the settings say so.
 */
export type Access = "read" | "proxy" | "view-secrets" | "write" | "rotate" | "generate-token";

/** Path parameters by name, percent-decoded. */
export type PathParameters = Readonly<Record<string, string | undefined>>;

/** Types the parameters of a pattern: `{ mesh: string }` of `/meshes/{mesh}/explain`. */
export type ParametersOf<Path extends string> = Path extends `${string}{${infer Name}}${infer Rest}`
  ? { readonly [Parameter in Name | keyof ParametersOf<Rest>]: string }
  : Readonly<Record<never, string>>;

/** A request with its matched endpoint, as the layers and the handler receive it. */
export interface Call<Parameters = PathParameters> {
  readonly request: HttpRequest;
  readonly parameters: Parameters;
  /** Undefined for an unknown path or method: the response will be 404 or 405. */
  readonly endpoint: Endpoint | undefined;
}

/**
 * One operation of an HTTP API. Routing, allowed methods, suggestions and error titles derive from a list of endpoints.
 */
export interface Endpoint<Parameters = PathParameters> {
  /** The methods listed in `Allow` and in 405 responses. HEAD is answered like GET whether or not it is listed. */
  readonly methods: readonly string[];
  /** A pattern: a segment in braces is a parameter. */
  readonly path: string;
  /** Other patterns for this endpoint, with the same parameters; they are never suggested. */
  readonly aliases?: readonly string[];
  /** The `title` of its error bodies: the operation that failed. */
  readonly title: string;
  readonly access: Access;
  /** Media type of its responses; default: JSON. */
  readonly produces?: string;
  // A method, not a property, so that a list can hold endpoints with different parameters.
  handle(call: Call<Parameters>): HttpReply | Promise<HttpReply>;
}

export type EndpointHandler = (call: Call) => HttpReply | Promise<HttpReply>;

/** Middleware around the endpoints of a server; it may answer in their place. */
export type EndpointLayer = (handler: EndpointHandler) => EndpointHandler;

export interface EndpointsOptions {
  readonly endpoints: readonly Endpoint[];
  /** Outermost first. They also wrap the 404 and 405 responses. */
  readonly layers: readonly EndpointLayer[];
  /** Whether a 404 suggests the nearest known path. */
  readonly suggests?: boolean;
}

/** An endpoint with the parameter names of one of its paths. */
interface Route {
  readonly endpoint: Endpoint;
  readonly names: readonly string[];
}

const noParameters: PathParameters = {};

function parametersOf(names: readonly string[], texts: readonly string[]): PathParameters {
  if (names.length === 0) return noParameters;
  const parameters: Record<string, string> = {};
  for (const [index, name] of names.entries()) parameters[name] = texts[index] ?? "";
  return parameters;
}

/**
 * Routes requests to endpoints by path and method. An unknown path gets 404, a known path with another method 405.
 * @throws Error for two endpoints with the same path and method, and for ambiguous patterns
 */
export function serveEndpoints({ endpoints, layers, suggests = false }: EndpointsOptions): HttpHandler {
  /** By method. */
  const routes = createPathTree<Map<string, Route>>();
  for (const endpoint of endpoints) {
    for (const path of [endpoint.path, ...(endpoint.aliases ?? [])]) {
      const methods = routes.at(path, () => new Map(), path !== endpoint.path);
      const names = parameterNames(path);
      for (const method of endpoint.methods) {
        if (methods.has(method)) throw new Error(`there are two endpoints for ${method} ${path}`);
        methods.set(method, { endpoint, names });
      }
    }
  }

  function refuse({ method, path }: HttpRequest): HttpReply {
    const found = routes.find(path);
    if (found !== undefined) return methodNotAllowed(method, [...found.value.keys()]);
    return pathNotFound(path, suggests ? routes.suggest(path) : undefined);
  }

  const answer = layered<EndpointHandler>(layers, (call) =>
    call.endpoint === undefined ? refuse(call.request) : call.endpoint.handle(call),
  );
  return (request) => {
    const found = routes.find(request.path);
    const route = found?.value.get(request.method) ?? (request.method === "HEAD" ? found?.value.get("GET") : undefined);
    if (found === undefined || route === undefined) {
      return answer({ request, parameters: noParameters, endpoint: undefined });
    }
    return answer({ request, parameters: parametersOf(route.names, found.texts), endpoint: route.endpoint });
  };
}
