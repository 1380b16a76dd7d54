import type { Cause } from "../../lib/errors.js";
import type { Logger } from "../../lib/logger.js";
import type { SiteGuard } from "../../net/cross-site.js";
import {
  type HttpHandler,
  type HttpReply,
  type HttpRequest,
  jsonReply,
  methodNotAllowed,
  pathNotFound,
  renderedReply,
} from "../../net/exchange.js";
import type { Registry } from "../../resources/registry.js";
import { type Store, StoreError } from "../../store/store.js";
import type { Unregistered } from "../../xds/proxies.js";
import type { Diagnosis } from "../explain/diagnosis.js";
import type { Status } from "../status.js";
import { getAuthority, listAuthorities, type RotationApi, rotateAuthority } from "./authorities.js";
import { errors, type Title, titles } from "./errors.js";
import { explainTraffic, showPolicies, showProblems, showXds } from "./explanations.js";
import { acceptsJson, foreignMediaType } from "./negotiation.js";
import { getOverview, listOverviews } from "./overviews.js";
import { onPage, pageEnd, parsePage } from "./paging.js";
import { createRenderer } from "./rendering.js";
import { createTargets, type Target } from "./target.js";
import { listUnregistered } from "./unregistered.js";
import { FailedOperation, type MeshAuthorities, put, remove } from "./writes.js";

/** What is wrong with a valid spec that its type alone can't tell; may take a while. */
export type SpecCheck = (spec: unknown) => Promise<readonly Cause[]>;

export interface ApiOptions {
  readonly registry: Registry;
  /** By the name of the type. */
  readonly checks: ReadonlyMap<string, SpecCheck>;
  readonly store: Store;
  readonly guard: SiteGuard;
  readonly logger: Logger;
  readonly version: string;
  readonly readOnly: boolean;
  /** Bodies of `/catalogue` and `/config`. */
  readonly catalogue: unknown;
  readonly config: unknown;
  /** The certificate authorities that meshes come with. */
  readonly authorities: MeshAuthorities;
  readonly rotations: RotationApi;
  readonly diagnosis: Diagnosis;
  /** How the control plane is; bounded in what it costs, however often it is asked. */
  readonly status: () => Promise<Status>;
  /** The proxies connected to this control plane whose Dataplane does not exist. */
  readonly unregistered: () => readonly Unregistered[];
}

const readMethods = ["GET", "HEAD"];
const allMethods = [...readMethods, "PUT", "DELETE"];

/** The HTTP API over a registry and a store; it answers every request and never throws. */
export function apiHandler(options: ApiOptions): HttpHandler {
  const { registry, store, guard, logger, authorities, rotations, diagnosis } = options;
  const targets = createTargets(registry);
  const renderer = createRenderer();
  const index = jsonReply(200, { tagline: "Kuma", version: options.version });
  const catalogue = jsonReply(200, options.catalogue);
  const config = jsonReply(200, options.config);

  function methodsOf(target: Target): readonly string[] {
    if (target.kind === "rotation") return options.readOnly ? [] : ["POST"];
    return target.kind === "item" && target.type.access === "full" && !options.readOnly ? allMethods : readMethods;
  }

  async function read(target: Target, request: HttpRequest): Promise<HttpReply> {
    switch (target.kind) {
      case "index":
        return index;
      case "catalogue":
        return catalogue;
      case "config":
        return config;
      case "list": {
        const page = parsePage(request.query, titles.list);
        if (page !== undefined && "status" in page) return page;
        const members = await store.list(target.type, target.mesh);
        if (page !== undefined) {
          return renderedReply(await renderer.page(onPage(members, page), pageEnd(request, page, members.length)));
        }
        return renderedReply(await renderer.list(`${target.type.name}\n${target.mesh ?? ""}`, members));
      }
      case "item": {
        const stored = await store.get(target.key);
        return stored === undefined ? errors.notFound(titles.retrieve) : renderedReply(renderer.item(stored));
      }
      case "overviews":
        return listOverviews(store, target.mesh, request);
      case "overview":
        return getOverview(store, target.mesh, target.name);
      case "authorities":
        return listAuthorities(rotations);
      case "unregistered":
        return listUnregistered(options.unregistered());
      case "authority":
        return getAuthority(rotations, target.mesh);
      case "rotation":
        return rotateAuthority(rotations, target.mesh);
      case "policies":
        return showPolicies(diagnosis, target.mesh, target.name);
      case "xds":
        return showXds(diagnosis, target.mesh, target.name, request.query);
      case "explain":
        return explainTraffic(diagnosis, target.mesh, request.query);
      case "problems":
        return showProblems(diagnosis, target.mesh);
      case "status":
        return jsonReply(200, await options.status());
    }
  }

  /** The reason not to look at a request any closer. */
  function refusal(target: Target, request: HttpRequest): HttpReply | undefined {
    const { method, headers } = request;
    const methods = methodsOf(target);
    if (!methods.includes(method)) return methodNotAllowed(method, methods);
    if (!readMethods.includes(method) && guard.refuses(headers)) return errors.crossSite();
    const foreign = method === "PUT" ? foreignMediaType(headers) : undefined;
    if (foreign !== undefined) return errors.unsupportedMediaType(foreign);
    return acceptsJson(headers) ? undefined : errors.notAcceptable();
  }

  function failure(title: Title, request: HttpRequest, error: unknown): HttpReply {
    const failed = error instanceof FailedOperation ? error : new FailedOperation(title, error);
    if (failed.cause instanceof StoreError && failed.cause.kind === "unavailable") {
      const { cause } = failed.cause;
      return errors.storeUnavailable(failed.title, cause instanceof Error ? cause.message : undefined);
    }
    const { method, path } = request;
    logger.error(failed.title, { method, path, error: failed.cause });
    return errors.internal(failed.title);
  }

  async function perform(target: Target, request: HttpRequest): Promise<HttpReply> {
    try {
      if (target.kind !== "item") return await read(target, request);
      switch (request.method) {
        case "PUT":
          return await put(
            { store, renderer, authorities, check: options.checks.get(target.type.name), logger },
            target.type,
            target.key,
            request,
          );
        case "DELETE":
          return await remove(store, target.type, target.key);
        default:
          return await read(target, request);
      }
    } catch (error) {
      return failure(titleOf(target, request.method), request, error);
    }
  }

  function answer(request: HttpRequest): HttpReply | Promise<HttpReply> {
    const target = targets.resolve(request.path);
    if (target === undefined) return pathNotFound(request.path, targets.suggest(request.path));
    return refusal(target, request) ?? perform(target, request);
  }

  return (request) => {
    const origin = guard.allowedOrigin(request.headers);
    if (origin === undefined) return answer(request);
    return request.method === "OPTIONS" ? preflight(origin) : withOrigin(answer(request), origin);
  };
}

function titleOf(target: Target, method: string): Title {
  switch (target.kind) {
    case "overview":
      return titles.retrieveOverview;
    case "overviews":
      return titles.listOverviews;
    case "item":
      if (method === "PUT") return titles.process;
      return method === "DELETE" ? titles.delete : titles.retrieve;
    case "authority":
      return titles.retrieveAuthority;
    case "authorities":
      return titles.listAuthorities;
    case "rotation":
      return titles.rotateAuthority;
    case "policies":
    case "xds":
      return titles.inspectDataplane;
    case "explain":
      return titles.explainTraffic;
    case "problems":
      return titles.findProblems;
    default:
      return titles.list;
  }
}

const originHeaders = (origin: string) => ({ "Access-Control-Allow-Origin": origin, Vary: "Origin" });

function preflight(origin: string): HttpReply {
  return {
    status: 200,
    headers: {
      ...originHeaders(origin),
      "Access-Control-Allow-Methods": allMethods.join(", "),
      "Access-Control-Allow-Headers": "Accept, Content-Type",
    },
  };
}

async function withOrigin(reply: HttpReply | Promise<HttpReply>, origin: string): Promise<HttpReply> {
  const answered = await reply;
  return { ...answered, headers: { ...answered.headers, ...originHeaders(origin) } };
}
