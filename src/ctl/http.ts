import { messageOf, UserError } from "../lib/errors.js";
import { type Answer, exchange, type Request as HttpRequest, TimedOut } from "../net/http-client.js";

export interface Request extends Pick<HttpRequest, "method" | "body" | "timeout"> {
  readonly url: URL;
  /** The value of the Authorization header. */
  readonly authorization?: string;
  /** The client's certificate and key (PEM). The server's certificate is then not verified: its issuer is unknown. */
  readonly client?: { readonly cert: string; readonly key: string };
}

/** Larger than any list of resources; stops endless answers of other servers. */
const limit = 256 * 1024 * 1024;

/**
 * Sends a request and reads the whole response, whatever its status. Throws UserError("http.unreachable") when there is
 * no response.
 */
export async function send({ url, authorization, client, ...request }: Request): Promise<Answer> {
  // Kuma 0.3 rejects a bare application/json (406) for its index and catalogue, which do not declare that they return JSON.
  const headers = { accept: "application/json, */*", ...(authorization === undefined ? {} : { authorization }) };
  const tls = client && { ...client, rejectUnauthorized: false as const };
  try {
    return await exchange({ ...request, target: url, headers, limit, ...(tls && { tls }) });
  } catch (error) {
    const reason = error instanceof TimedOut ? `no answer within ${request.timeout / 1000}s` : messageOf(error);
    throw UserError.of("http.unreachable", { reason }, { cause: error });
  }
}

/** Parses a control plane's URL as the user writes it: absolute, http or https. Undefined for anything else. */
export function parseAddress(text: string): URL | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  return url?.protocol === "http:" || url?.protocol === "https:" ? url : undefined;
}

/** Resolves `path` below the address and keeps the address's own path (for a control plane behind a reverse proxy). */
export function below(address: URL, path: string): URL {
  const base = new URL(address);
  if (!base.pathname.endsWith("/")) base.pathname += "/";
  return new URL(path, base);
}
