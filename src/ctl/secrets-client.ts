import { readFile } from "node:fs/promises";
import { UserError } from "../lib/errors.js";
import type { Answer } from "../net/http-client.js";
import { toJson } from "../resources/envelope.js";
import type { Resource } from "../resources/resource.js";
import { failure } from "./api-client.js";
import type { Connection } from "./connection.js";
import { below, type Request, send } from "./http.js";
import { findTokenServer, readTokenApi } from "./token-client.js";

const timeout = 60_000;

/** A control plane's secrets: keys and certificates that its HTTP API does not serve. */
export interface SecretsClient {
  list(): Promise<readonly unknown[]>;
  put(secret: Resource): Promise<void>;
}

async function readToken(file: string): Promise<string> {
  const token = await readFile(file, "utf8").catch((error: unknown) => {
    throw UserError.of("secrets.token-unreadable", { file, reason: error });
  });
  if (token.trim() === "") throw UserError.of("secrets.token-empty", { file });
  return token.trim();
}

/**
 * Connects to the token server with the token in `file`, which is only accepted on the control plane's own machine.
 * @throws UserError `secrets.*`
 */
export async function connectToSecrets(file: string, { client, context, address }: Connection): Promise<SecretsClient> {
  const token = await readToken(file);
  const catalogue = await client.catalogue().catch((error: unknown) => {
    throw UserError.of("secrets.unavailable", { reason: error });
  });
  const endpoint = await findTokenServer(readTokenApi(catalogue), address, context).catch((error: unknown) => {
    throw UserError.of("secrets.unavailable", { reason: error });
  });
  if (endpoint.client !== undefined) throw UserError.of("secrets.remote");

  async function ask(method: Request["method"], body?: unknown): Promise<Answer> {
    const answer = await send({
      method,
      url: below(endpoint.url, "secrets"),
      authorization: `Bearer ${token}`,
      timeout,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    }).catch((error: unknown) => {
      throw UserError.of("secrets.unreachable", { server: endpoint.url.origin, reason: error });
    });
    if (answer.status === 404) throw UserError.of("secrets.disabled");
    if (answer.status !== 200 && answer.status !== 201) throw failure(endpoint.url, answer);
    return answer;
  }

  return {
    async list() {
      const { items } = JSON.parse((await ask("GET")).body) as { items?: unknown };
      if (!Array.isArray(items)) throw UserError.of("secrets.unexpected");
      return items;
    },
    async put(secret) {
      await ask("PUT", toJson(secret));
    },
  };
}
