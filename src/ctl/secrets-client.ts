import { readFile } from "node:fs/promises";
import { messageOf, UserError } from "../lib/errors.js";
import type { Answer } from "../net/http-client.js";
import { toJson } from "../resources/envelope.js";
import type { Resource } from "../resources/resource.js";
import { failure } from "./api-client.js";
import type { Connection } from "./connection.js";
import { below, type Request, send } from "./http.js";
import { findTokenServer, readTokenApi } from "./token-client.js";

const timeout = 60_000;

/** The secrets of a control plane: keys and certificates that its HTTP API never shows. */
export interface SecretsClient {
  list(): Promise<readonly unknown[]>;
  put(secret: Resource): Promise<void>;
}

const refused = (message: string) => new UserError("secrets.unavailable", `the secrets are out of reach: ${message}`);

async function readToken(file: string): Promise<string> {
  const token = await readFile(file, "utf8").catch((error: unknown) => {
    throw refused(`"${file}" can't be read: ${messageOf(error)}`);
  });
  if (token.trim() === "") throw refused(`"${file}" is empty`);
  return token.trim();
}

/**
 * Who has the file with the token of the secrets is let in, on the machine of the control plane only.
 * @throws UserError `secrets.unavailable`
 */
export async function connectToSecrets(file: string, { client, context, address }: Connection): Promise<SecretsClient> {
  const token = await readToken(file);
  const catalogue = await client.catalogue().catch((error: unknown) => {
    throw refused(messageOf(error));
  });
  const endpoint = await findTokenServer(readTokenApi(catalogue), address, context).catch((error: unknown) => {
    throw refused(messageOf(error));
  });
  if (endpoint.client !== undefined) throw refused("run this on the machine of the Control Plane");

  async function ask(method: Request["method"], body?: unknown): Promise<Answer> {
    const answer = await send({
      method,
      url: below(endpoint.url, "secrets"),
      authorization: `Bearer ${token}`,
      timeout,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    }).catch((error: unknown) => {
      throw refused(`could not reach ${endpoint.url.origin}: ${messageOf(error)}`);
    });
    if (answer.status === 404) {
      throw refused("set KUMA_DATAPLANE_TOKEN_SERVER_LOCAL_SECRETS_TOKEN_FILE of the Control Plane to this file");
    }
    if (answer.status !== 200 && answer.status !== 201) throw failure(endpoint.url, answer);
    return answer;
  }

  return {
    async list() {
      const { items } = JSON.parse((await ask("GET")).body) as { items?: unknown };
      if (!Array.isArray(items)) throw refused("the answer is no list");
      return items;
    },
    async put(secret) {
      await ask("PUT", toJson(secret));
    },
  };
}
