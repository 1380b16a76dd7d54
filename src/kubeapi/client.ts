import { sleep } from "../lib/deadline.js";
import { messageOf } from "../lib/errors.js";
import { isJsonObject } from "../lib/json.js";
import { type Collection, collectionText, pathOf } from "./collection.js";
import type { Credentials } from "./credentials.js";
import { hasStatus, KubeError } from "./error.js";
import { kubeLimits } from "./limits.js";
import { isKubeObject, type KubeObject } from "./object.js";
import { AnswerTooLarge, createTransport, type KubeRequest, type Transport } from "./transport.js";
import { eventsOf, type WatchEvent } from "./watch.js";

/** Selectors in Kubernetes' own syntax. */
export interface Selection {
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
}

export interface ListOptions extends Selection {
  readonly signal?: AbortSignal;
}

export interface WatchOptions extends Selection {
  /** The version after which events begin: of a list, an object or a bookmark. */
  readonly resourceVersion: string;
  readonly signal: AbortSignal;
  /** After this long without an event or bookmark the connection counts as dead, in milliseconds. */
  readonly silenceMs?: number;
}

export interface WriteOptions {
  readonly dryRun?: boolean;
  readonly fieldManager?: string;
  readonly subresource?: string;
  readonly signal?: AbortSignal;
}

export interface KubeList {
  readonly items: readonly KubeObject[];
  /** The version at which the whole list was read. */
  readonly resourceVersion: string;
}

/**
 * A client of the Kubernetes API. All methods throw KubeError: with the server's status, or 0 without an answer. A
 * request takes 30 s at most; a 429, and any other error with Retry-After, is attempted again as the server asks.
 */
export interface KubeClient {
  /** Undefined if there is no such object. */
  get(collection: Collection, name: string): Promise<KubeObject | undefined>;
  /** All pages of a consistent list. */
  list(collection: Collection, options?: ListOptions): Promise<KubeList>;
  /** Ends when the server ends it, which is normal; a version that is too old is a KubeError with status 410. */
  watch(collection: Collection, options: WatchOptions): AsyncIterable<WatchEvent>;
  create(collection: Collection, object: unknown, options?: WriteOptions): Promise<KubeObject>;
  /** Replaces the version in the object's metadata; 409 if that is not the stored one. */
  replace(collection: Collection, object: KubeObject, options?: WriteOptions): Promise<KubeObject>;
  /** Server-side apply (`apply`) takes over fields that another manager owns. */
  patch(
    collection: Collection,
    name: string,
    kind: "merge" | "json" | "apply",
    body: unknown,
    options?: WriteOptions,
  ): Promise<KubeObject>;
  /** Deletes the object, if it still has the uid and the version; 404 if there is none. */
  delete(collection: Collection, name: string, precondition?: DeletePrecondition): Promise<void>;
  /** Anything else: discovery, reviews, health. Returns the parsed JSON. */
  request(method: KubeRequest["method"], path: string, body?: unknown, signal?: AbortSignal): Promise<unknown>;
  close(): void;
}

export interface DeletePrecondition {
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly dryRun?: boolean;
}

const patchTypes = {
  merge: "application/merge-patch+json",
  json: "application/json-patch+json",
  apply: "application/apply-patch+yaml",
} as const;

function query(parameters: Readonly<Record<string, string | number | boolean | undefined>>): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) if (value !== undefined) search.set(name, String(value));
  const text = search.toString();
  return text === "" ? "" : `?${text}`;
}

function writeQuery({ dryRun, fieldManager }: WriteOptions, more: Readonly<Record<string, boolean>> = {}): string {
  return query({ ...(dryRun ? { dryRun: "All" } : {}), fieldManager: fieldManager ?? "kuma-cp", ...more });
}

/** The server closes a watch after this many seconds. Different for each, so that they don't all begin anew together. */
const watchSeconds = (): number => 240 + Math.floor(Math.random() * 60);

/** A client with these credentials. @param transport for tests that observe the connections */
export function createKubeClient(
  credentials: Credentials,
  transport: Transport = createTransport(credentials),
): KubeClient {
  /** Sends the request; repeats it as often as the server asks for it. */
  async function send(request: KubeRequest): Promise<unknown> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await transport.send(request);
      } catch (error) {
        if (!(error instanceof KubeError) || attempt >= kubeLimits.attempts) throw error;
        const { status, retryAfterMs = status === 429 ? kubeLimits.firstRetryMs : undefined } = error;
        // Only what the server refused before it did anything: an error without Retry-After may follow a write.
        if (retryAfterMs === undefined || (status !== 429 && status < 500)) throw error;
        if (retryAfterMs > kubeLimits.retryAfterMs) throw error;
        await sleep(Math.max(retryAfterMs, 100) * (1 + Math.random() / 2), request.signal);
      }
    }
  }

  function objectOf(answer: unknown, path: string): KubeObject {
    if (isKubeObject(answer)) return answer;
    throw new KubeError(0, `${path}: the answer is no object of the Kubernetes API`);
  }

  async function write(request: KubeRequest): Promise<KubeObject> {
    return objectOf(await send(request), request.path);
  }

  /** One page, with fewer objects if the answer would be too large. */
  async function page(path: string, parameters: Parameters<typeof query>[0], signal: AbortSignal | undefined) {
    for (let limit: number = kubeLimits.pageObjects; ; limit = Math.ceil(limit / 4)) {
      try {
        return await send({ method: "GET", path: path + query({ ...parameters, limit }), signal });
      } catch (error) {
        if (!(error instanceof AnswerTooLarge) || limit === 1) throw error;
      }
    }
  }

  /** The items of a list come without kind and version, which are those of the list. */
  function itemsOf(answer: unknown, path: string) {
    const { metadata, items, kind, apiVersion } = isJsonObject(answer) ? answer : {};
    if (!isJsonObject(metadata) || typeof metadata.resourceVersion !== "string" || !String(kind).endsWith("List")) {
      throw new KubeError(0, `${path}: the answer is no list`);
    }
    const itemKind = String(kind).slice(0, -"List".length);
    const complete = (Array.isArray(items) ? items : []).map((item: unknown) =>
      objectOf(isJsonObject(item) ? { apiVersion, kind: itemKind, ...item } : item, path),
    );
    const { continue: next } = metadata;
    return {
      items: complete,
      resourceVersion: metadata.resourceVersion,
      next: typeof next === "string" && next !== "" ? next : undefined,
    };
  }

  return {
    async get(collection, name) {
      const path = pathOf(collection, name);
      try {
        return objectOf(await send({ method: "GET", path }), path);
      } catch (error) {
        if (hasStatus(error, 404)) return undefined;
        throw error;
      }
    },
    async list(collection, { labelSelector, fieldSelector, signal } = {}) {
      const path = pathOf(collection);
      const items: KubeObject[] = [];
      let token: string | undefined;
      for (;;) {
        const answer = await page(path, { labelSelector, fieldSelector, continue: token }, signal);
        const read = itemsOf(answer, path);
        for (const item of read.items) items.push(item);
        if (read.next === undefined) return { items, resourceVersion: read.resourceVersion };
        token = read.next;
      }
    },
    async *watch(collection, { labelSelector, fieldSelector, resourceVersion, signal, silenceMs }) {
      const doing = `watch of ${collectionText(collection)}`;
      const path =
        pathOf(collection) +
        query({
          watch: true,
          allowWatchBookmarks: true,
          timeoutSeconds: watchSeconds(),
          resourceVersion,
          labelSelector,
          fieldSelector,
        });
      try {
        const body = await transport.open({ method: "GET", path, signal }, silenceMs ?? kubeLimits.silenceMs);
        yield* eventsOf(body, doing);
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof KubeError) throw error;
        throw new KubeError(0, `${doing}: ${messageOf(error)}`, { cause: error });
      }
    },
    create: (collection, object, options = {}) =>
      write({
        method: "POST",
        path: pathOf(collection) + writeQuery(options),
        body: object,
        signal: options.signal,
      }),
    replace: (collection, object, options = {}) =>
      write({
        method: "PUT",
        path: pathOf(collection, object.metadata.name, options.subresource) + writeQuery(options),
        body: object,
        signal: options.signal,
      }),
    patch: (collection, name, kind, body, options = {}) =>
      write({
        method: "PATCH",
        path:
          pathOf(collection, name, options.subresource) + writeQuery(options, kind === "apply" ? { force: true } : {}),
        body,
        contentType: patchTypes[kind],
        signal: options.signal,
      }),
    async delete(collection, name, { uid, resourceVersion, dryRun } = {}) {
      const preconditions = {
        ...(uid === undefined ? {} : { uid }),
        ...(resourceVersion === undefined ? {} : { resourceVersion }),
      };
      const body = {
        apiVersion: "v1",
        kind: "DeleteOptions",
        propagationPolicy: "Background",
        ...(Object.keys(preconditions).length === 0 ? {} : { preconditions }),
        ...(dryRun ? { dryRun: ["All"] } : {}),
      };
      await send({ method: "DELETE", path: pathOf(collection, name), body });
    },
    request: (method, path, body, signal) => send({ method, path, body, signal }),
    close: () => transport.close(),
  };
}
