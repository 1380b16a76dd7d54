import type { IncomingMessage, RequestOptions } from "node:http";
import type { SecureContextOptions } from "node:tls";

export interface Request {
  readonly method: "GET" | "PUT" | "DELETE" | "POST";
  readonly target: URL | { readonly socketPath: string; readonly path: string };
  readonly headers?: Readonly<Record<string, string>>;
  /** JSON. */
  readonly body?: string;
  /** Milliseconds for the whole exchange, the answer's last byte included. */
  readonly timeout: number;
  /** Bytes of the answer's body; more is an error. */
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
 * Sends one request and reads the whole answer, whatever its status. Rejects with the connection's own error, with
 * TimedOut, with an Error that says "larger than", or with the abort reason. Built on node:http because `fetch` starts
 * slowly, costs several megabytes for as long as a process lives, and cannot speak to a Unix socket.
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
  // No connection is kept: there is one request to make, and an idle socket would keep the process awake.
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
