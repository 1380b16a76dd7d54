import { messageOf, UserError } from "../lib/errors.js";
import { type Answer, exchange, type Request as HttpRequest, TimedOut } from "../net/http-client.js";

export interface Request extends Pick<HttpRequest, "method" | "body" | "timeout"> {
  readonly url: URL;
  /** The header of that name. */
  readonly authorization?: string;
  /** PEM of the client; the server's certificate is then not verified, as its issuer is known to nobody. */
  readonly client?: { readonly cert: string; readonly key: string };
}

/** More than any list of resources a person asks for; a stranger's endless answer ends here. */
const limit = 256 * 1024 * 1024;

/**
 * Sends one request and reads the whole answer, whatever its status. Throws UserError("http.unreachable") when there is
 * none.
 */
export async function send({ url, authorization, client, ...request }: Request): Promise<Answer> {
  // Kuma 0.3 refuses JSON alone (406) where it does not say itself that it answers in JSON: its index and its catalogue.
  const headers = { accept: "application/json, */*", ...(authorization === undefined ? {} : { authorization }) };
  const tls = client && { ...client, rejectUnauthorized: false as const };
  try {
    return await exchange({ ...request, target: url, headers, limit, ...(tls && { tls }) });
  } catch (error) {
    const reason = error instanceof TimedOut ? `no answer within ${request.timeout / 1000}s` : messageOf(error);
    throw UserError.of("http.unreachable", { reason }, { cause: error });
  }
}

/** The URL of a control plane as a user gives it: absolute, http or https. Undefined for anything else. */
export function parseAddress(text: string): URL | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  return url?.protocol === "http:" || url?.protocol === "https:" ? url : undefined;
}

/** `path` below the address, whose own path stays (a control plane behind a reverse proxy). */
export function below(address: URL, path: string): URL {
  const base = new URL(address);
  if (!base.pathname.endsWith("/")) base.pathname += "/";
  return new URL(path, base);
}
