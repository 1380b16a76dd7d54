import type { IncomingHttpHeaders } from "node:http";
import { type ApiOptions, apiHandler } from "../../../src/cp/api/handler.js";
import { specChecks } from "../../../src/cp/checks/spec-checks.js";
import { createLogger } from "../../../src/lib/logger.js";
import { createSiteGuard } from "../../../src/net/cross-site.js";
import type { HttpReply } from "../../../src/net/exchange.js";
import { meshType } from "../../../src/resources/mesh.js";
import { registry } from "../../../src/resources/registry.js";
import { createMemoryStore } from "../../../src/store/memory.js";
import type { Store } from "../../../src/store/store.js";
import { authorityOptions } from "../../support/authorities.js";

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
  /** The body as JSON; undefined if it is empty. */
  readonly json: unknown;
}

export interface Stage {
  readonly store: Store;
  readonly logged: readonly string[];
  /** Sends a request to the handler itself; an object body is sent as JSON, a text or bytes as they are. */
  call(method: string, target: string, body?: unknown, headers?: IncomingHttpHeaders): Promise<Answer>;
  get(target: string): Promise<Answer>;
  put(target: string, body: unknown): Promise<Answer>;
  delete(target: string): Promise<Answer>;
}

export const silent = createLogger({ name: "test", level: "off" });

/** The HTTP API over an empty memory store with the mesh `default`, without a network. */
export async function stage(options: Partial<ApiOptions> = {}): Promise<Stage> {
  const types = options.registry ?? registry;
  const store = options.store ?? createMemoryStore(types);
  const logged: string[] = [];
  const handle = apiHandler({
    registry: types,
    checks: specChecks(() => undefined),
    store,
    guard: createSiteGuard({ allowed: () => false, advertisedHostname: "cp.example" }),
    logger: createLogger({ name: "test", level: "info", write: (line) => void logged.push(line) }),
    version: "0.3.0",
    readOnly: false,
    catalogue: {},
    config: {},
    ...authorityOptions(store),
    ...options,
  });
  if ((await store.get({ type: "Mesh", mesh: "default", name: "default" })) === undefined) {
    await store.create({ type: "Mesh", mesh: "default", name: "default", spec: meshType.defaults({}) });
  }

  async function call(method: string, target: string, body?: unknown, headers: IncomingHttpHeaders = {}) {
    const [path = "", query = ""] = target.split("?");
    const bytes =
      body instanceof Buffer ? body : Buffer.from(typeof body === "string" ? body : JSON.stringify(body ?? ""));
    const reply = await handle({
      method,
      path,
      query,
      headers,
      body: body === undefined ? Buffer.alloc(0) : bytes,
      peer: "127.0.0.1",
    });
    const text = await textOf(reply.body);
    return {
      status: reply.status,
      headers: reply.headers ?? {},
      text,
      json: text === "" ? undefined : (JSON.parse(text) as unknown),
    };
  }
  return {
    store,
    logged,
    call,
    get: (target) => call("GET", target),
    put: (target, body) => call("PUT", target, body, { "content-type": "application/json" }),
    delete: (target) => call("DELETE", target),
  };
}

/** The complete body, however many pieces it has. */
export async function textOf(body: HttpReply["body"]): Promise<string> {
  if (body === undefined || typeof body === "string" || Buffer.isBuffer(body)) return String(body ?? "");
  if (typeof body === "function") throw new Error("a live body has no end");
  const pieces: Buffer[] = [];
  for await (const piece of body) pieces.push(piece);
  return Buffer.concat(pieces).toString();
}

/** A valid Dataplane. */
export function dataplane(name: string, mesh = "default", service = "backend") {
  const inbound = [{ interface: "127.0.0.1:8000:80", tags: { service } }];
  return { type: "Dataplane", mesh, name, networking: { inbound } };
}

/** The fields in the causes of an error, in order. */
export const fields = ({ json }: Answer) =>
  ((json as { causes?: { field: string }[] }).causes ?? []).map(({ field }) => field);

/** The title and details of an error body. */
export function words({ json }: Answer): [unknown, unknown] {
  const { title, details } = json as { title?: unknown; details?: unknown };
  return [title, details];
}
