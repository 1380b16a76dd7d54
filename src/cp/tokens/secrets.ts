import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import { messageOf, UserError } from "../../lib/errors.js";
import type { Logger } from "../../lib/logger.js";
import type { SiteGuard } from "../../net/cross-site.js";
import type { Endpoint } from "../../net/endpoints.js";
import { errorReply, type HttpReply, type HttpRequest, jsonReply } from "../../net/exchange.js";
import { fromJson, toJson } from "../../resources/envelope.js";
import { secretType } from "../../resources/secret.js";
import { type Key, type Store, StoreError } from "../../store/store.js";

export interface SecretsOptions {
  readonly store: Store;
  /** The token that a client must present. */
  readonly token: string;
  readonly guard: SiteGuard;
  readonly logger: Logger;
}

const listTitle = "Could not retrieve secrets";
const writeTitle = "Could not write a secret";
const longestName = 100;
/** How often a write that lost against a concurrent one is tried. */
const mostTries = 5;

const digest = (text: string) => createHash("sha256").update(text).digest();

/**
 * `GET /secrets`: everything that a backup of the store needs and the HTTP API never exposes; `PUT /secrets`: writes
 * one of them. Only for clients with the token.
 */
export function secretsEndpoints(options: SecretsOptions): readonly Endpoint[] {
  const { token, guard, logger } = options;
  const expected = digest(`Bearer ${token}`);
  const knows = ({ authorization = "" }: IncomingHttpHeaders) => timingSafeEqual(digest(authorization), expected);

  const guarded = (title: string, act: (request: HttpRequest) => Promise<HttpReply>): Endpoint["handle"] => {
    return async ({ request }) => {
      if (guard.refuses(request.headers)) return errorReply("http.cross-site", { title });
      if (!knows(request.headers)) {
        logger.info("a client requested secrets without the secrets token", { method: request.method });
        const headers = { "WWW-Authenticate": "Bearer" };
        return errorReply("request.secrets-token", { title }, { headers });
      }
      try {
        return await act(request);
      } catch (error) {
        if (error instanceof StoreError && error.kind === "unavailable") {
          return errorReply("request.store", { title });
        }
        logger.error(title, { error });
        return errorReply("http.internal", { title });
      }
    };
  };
  const path = "/secrets";
  return [
    {
      methods: ["GET"],
      path,
      title: listTitle,
      access: "view-secrets",
      handle: guarded(listTitle, () => list(options)),
    },
    {
      methods: ["PUT"],
      path,
      title: writeTitle,
      access: "write",
      handle: guarded(writeTitle, (request) => put(options, request)),
    },
  ];
}

async function list({ store, logger }: SecretsOptions): Promise<HttpReply> {
  const secrets = await store.list(secretType);
  logger.info("sent all secrets to a client with the secrets token", { count: secrets.length });
  return jsonReply(200, { items: secrets.map(toJson) });
}

async function put({ store, logger }: SecretsOptions, { body }: HttpRequest): Promise<HttpReply> {
  const read = readSecret(body);
  if (typeof read === "string") return errorReply("request.secret", { title: writeTitle, problem: read });
  const { key, spec } = read;
  const resource = { ...key, spec };
  for (let tries = 1; ; tries++) {
    const stored = await store.get(key);
    try {
      await (stored === undefined ? store.create(resource) : store.update(resource, stored.version));
      logger.info("a client with the secrets token wrote a secret", { mesh: key.mesh, name: key.name });
      return { status: stored === undefined ? 201 : 200 };
    } catch (error) {
      if (!(error instanceof StoreError) || error.kind === "unavailable" || tries === mostTries) throw error;
    }
  }
}

/** Reads a secret from a body, or returns the problem. */
function readSecret(body: Buffer): { readonly key: Key; readonly spec: unknown } | string {
  try {
    const { envelope, spec, unknown } = fromJson(secretType, JSON.parse(body.toString()), "strict");
    const { type, mesh = "", name = "" } = envelope;
    if (type !== secretType.name) return `type has to be ${secretType.name}`;
    if (name === "") return "name cannot be empty";
    if (name.length > longestName || mesh.length > longestName)
      return `name and mesh have at most ${longestName} characters`;
    const [first] = unknown;
    if (first !== undefined) return `${first.field}: ${first.message}`;
    if (spec.value === undefined) return "value cannot be empty";
    return { key: { type, mesh, name }, spec };
  } catch (error) {
    // An unreadable secret must appear neither in the response nor in a log.
    return error instanceof UserError ? messageOf(error) : "the body is not valid JSON";
  }
}
