import type { IncomingMessage, RequestOptions } from "node:http";
import type { SecureContextOptions } from "node:tls";

export interface Request {
  readonly method: "GET" | "PUT" | "DELETE" | "POST";
  readonly target: URL | { readonly socketPath: string; readonly path: string };
  readonly headers?: Readonly<Record<string, string>>;
  /** JSON. */
  readonly body?: string;
  /** Timeout for the whole exchange, up to the last byte of the response, in milliseconds. */
  readonly timeout: number;
  /** Maximum size of the response body, in bytes; a larger one is an error. */
  readonly limit: number;
  /** For https. */
  readonly tls?: Pick<SecureContextOptions, "ca" | "cert" | "key"> & { readonly rejectUnauthorized?: false };
  readonly signal?: AbortSignal;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

export class TimedOut extends Error {}

/**
 * Sends one request and reads the whole response, whatever its status. Rejects with the connection error, with
 * TimedOut, with an Error that says "larger than", or with the abort reason. Built on node:http because `fetch` loads
 * slowly, costs several megabytes for the lifetime of the process, and cannot use a Unix socket.
 */
export async function exchange(request: Request): Promise<Answer> {
  const { method, target, body, limit, tls } = request;
  const secure = target instanceof URL && target.protocol === "https:";
  const { request: send } = secure ? await import("node:https") : await import("node:http");
  const timeout = AbortSignal.timeout(request.timeout);
  const signal = request.signal ? AbortSignal.any([request.signal, timeout]) : timeout;
  const headers: Record<string, string | number> = { ...request.headers };
  if (body !== undefined) {
    headers["content-type"] = "application/json";
    headers["content-length"] = Buffer.byteLength(body);
  }
  // No keep-alive: there is only one request, and an idle socket would keep the process running.
  const options: RequestOptions = { method, headers, signal, agent: false, ...tls };
  return new Promise((resolve, reject) => {
    const fail = (error: Error) => {
      if (request.signal?.aborted) reject(request.signal.reason);
      else if (timeout.aborted) reject(new TimedOut(`timed out after ${request.timeout / 1000} s`));
      else reject(error);
    };
    const answered = (response: IncomingMessage) => {
      const chunks: Buffer[] = [];
      let size = 0;
      response.on("data", (chunk: Buffer) => {
        size += chunk.length;
        if (size > limit) outgoing.destroy(new Error(`the answer is larger than ${limit} bytes`));
        else chunks.push(chunk);
      });
      response.on("error", fail);
      response.on("end", () => {
        const { statusCode = 0, headers } = response;
        resolve({ status: statusCode, headers, body: Buffer.concat(chunks).toString("utf8") });
      });
    };
    const outgoing =
      target instanceof URL ? send(target, options, answered) : send({ ...options, ...target }, answered);
    outgoing.on("error", fail);
    outgoing.end(body);
  });
}
