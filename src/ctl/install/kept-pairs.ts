import { type Pair, type Pairs, type ServerKey, serverKeys, tlsServers } from "../../kubernetes/manifests/pairs.js";
import { messageOf, UserError } from "../../lib/errors.js";
import { isJsonObject } from "../../lib/json.js";

/** Objects of YAML or JSON documents, those in lists of kubectl included. */
function objectsOf(documents: readonly unknown[]): Record<string, unknown>[] {
  return documents.filter(isJsonObject).flatMap((document) => {
    const { kind, items } = document;
    return kind === "List" && Array.isArray(items) ? items.filter(isJsonObject) : [document];
  });
}

function pairOf(secret: Record<string, unknown>): Pair | undefined {
  const { data } = secret;
  if (!isJsonObject(data)) return undefined;
  const [cert, key] = ["tls.crt", "tls.key"].map((name) => {
    const value = data[name];
    return typeof value === "string" ? Buffer.from(value, "base64").toString("utf8") : "";
  });
  return cert && key ? { cert, key } : undefined;
}

/**
 * The certificates of an installation from its Secrets, as `kubectl get secrets -o yaml` prints them.
 * @param source what error messages call the text
 * @throws UserError `install.secrets` if one of them is missing
 */
export async function keptPairs(source: string, text: string): Promise<Pairs> {
  const { loadAll } = await import("js-yaml");
  let documents: unknown[];
  try {
    documents = text.trim() === "" ? [] : loadAll(text);
  } catch (error) {
    throw UserError.of("install.secrets", { source, problem: messageOf(error) });
  }
  const secrets = objectsOf(documents).filter(({ kind }) => kind === "Secret");
  const found = serverKeys.map((server) => {
    const name = tlsServers[server].secret;
    const secret = secrets.find(({ metadata }) => isJsonObject(metadata) && metadata.name === name);
    const pair = secret === undefined ? undefined : pairOf(secret);
    if (pair !== undefined) return [server, pair] as const;
    const problem = secret === undefined ? `there is no Secret ${name}` : `Secret ${name} lacks tls.crt or tls.key`;
    throw UserError.of("install.secrets", { source, problem });
  });
  return Object.fromEntries(found) as Record<ServerKey, Pair>;
}
