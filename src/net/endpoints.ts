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
 * The right that an endpoint needs. Everyone who reaches the port has `read`, and `proxy`, by which a kuma-dp asks and
 * reports what concerns its Dataplane; `view-secrets` comes with a token; the others are for the administrator of the
 * machine, where the settings say so.
 */
export type Access = "read" | "proxy" | "view-secrets" | "write" | "rotate" | "generate-token";

/** The parameters of a path by their names, percent-decoded. */
export type PathParameters = Readonly<Record<string, string | undefined>>;

/** The parameters of one pattern: `{ mesh: string }` of `/meshes/{mesh}/explain`. */
export type ParametersOf<Path extends string> = Path extends `${string}{${infer Name}}${infer Rest}`
  ? { readonly [Parameter in Name | keyof ParametersOf<Rest>]: string }
  : Readonly<Record<never, string>>;

/** A request on its way through what is wrapped around the endpoints. */
export interface Call<Parameters = PathParameters> {
  readonly request: HttpRequest;
  readonly parameters: Parameters;
  /** Undefined for a path or a method that the server does not have: the answer will be 404 or 405. */
  readonly endpoint: Endpoint | undefined;
}

/** One thing that a server does. Routing, allowed methods, suggestions and titles of errors follow from a list of them. */
export interface Endpoint<Parameters = PathParameters> {
  /** Those that 405 and `Allow` name; HEAD is answered like GET whether it is among them or not. */
  readonly methods: readonly string[];
  /** A pattern: a segment in braces is a parameter. */
  readonly path: string;
  /** Other patterns with the same parameters that lead here; they are never suggested. */
  readonly aliases?: readonly string[];
  /** The `title` of its error bodies: what could not be done. */
  readonly title: string;
  readonly access: Access;
  /** The media type of its answers; JSON when left out. */
  readonly produces?: string;
  // A method and not a property, so that a list may hold endpoints with different parameters.
  handle(call: Call<Parameters>): HttpReply | Promise<HttpReply>;
}

export type EndpointHandler = (call: Call) => HttpReply | Promise<HttpReply>;

/** What is wrapped around the endpoints of a server: it may answer in their place. */
export type EndpointLayer = (handler: EndpointHandler) => EndpointHandler;

export interface EndpointsOptions {
  readonly endpoints: readonly Endpoint[];
  /** The first is the outermost; also around the answers 404 and 405. */
  readonly layers: readonly EndpointLayer[];
  /** Whether 404 names the path that was probably meant. */
  readonly suggests?: boolean;
}

/** An endpoint with the names of the parameters in one of its paths. */
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
 * Serves endpoints by their paths and methods; an unknown path is 404 and a known one with another method 405.
 * @throws Error for two endpoints with the same path and method, and for patterns that can't be told apart
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
