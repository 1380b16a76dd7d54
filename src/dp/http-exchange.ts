import type { RequestOptions } from "node:http";

/** One request; either to a URL or over a Unix socket. */
export interface Exchange {
  readonly method: "GET" | "POST";
  readonly target: { readonly url: URL; readonly ca?: string } | { readonly socketPath: string; readonly path: string };
  readonly body?: string;
  readonly contentType?: string;
  /** Milliseconds for the whole exchange, the answer's last byte included. */
  readonly timeout: number;
  /** Bytes of the answer's body; more is an error. */
  readonly limit: number;
  readonly signal?: AbortSignal;
}

export interface Answer {
  readonly status: number;
  readonly body: string;
  /** The `Warning` header. */
  readonly warning: string | undefined;
}

/**
 * Sends one request and reads the whole answer. Rejects with the connection's own error, with an Error that says
 * "timed out" or "too large", or with the abort reason. Built on node:http because `fetch` costs kuma-dp several
 * megabytes for as long as it lives, and cannot speak to a Unix socket.
 */
export async function exchange(request: Exchange): Promise<Answer> {
  const { target } = request;
  const secure = "url" in target && target.url.protocol === "https:";
  const { request: send } = secure ? await import("node:https") : await import("node:http");
  const timeout = AbortSignal.timeout(request.timeout);
  const signal = request.signal ? AbortSignal.any([request.signal, timeout]) : timeout;
  const headers: Record<string, string | number> = {};
  if (request.contentType !== undefined) headers["content-type"] = request.contentType;
  if (request.method === "POST") headers["content-length"] = Buffer.byteLength(request.body ?? "");
  // No connection is kept: there is one request to make, and an idle socket would keep the process awake.
  const options: RequestOptions & { ca?: string } = { method: request.method, headers, signal, agent: false };
  return new Promise((resolve, reject) => {
    const fail = (error: Error) => {
      if (request.signal?.aborted) reject(request.signal.reason);
      else if (timeout.aborted) reject(new Error(`timed out after ${request.timeout / 1000} s`));
      else reject(error);
    };
    const answered = (response: import("node:http").IncomingMessage) => {
      const chunks: Buffer[] = [];
      let size = 0;
      response.on("data", (chunk: Buffer) => {
        size += chunk.length;
        if (size > request.limit) outgoing.destroy(new Error(`the answer is larger than ${request.limit} bytes`));
        else chunks.push(chunk);
      });
      response.on("end", () => {
        const { statusCode = 0, headers } = response;
        resolve({ status: statusCode, body: Buffer.concat(chunks).toString("utf8"), warning: headers.warning });
      });
      response.on("error", fail);
    };
    const outgoing =
      "url" in target
        ? send(target.url, target.ca === undefined ? options : { ...options, ca: target.ca }, answered)
        : send(
            { ...options, socketPath: target.socketPath, path: target.path, headers: { ...headers, host: "envoy" } },
            answered,
          );
    outgoing.on("error", fail);
    outgoing.end(request.body);
  });
}

/** True for failures of certificate checks: trying again cannot help, another CA file or address can. */
export function isTrustFailure(error: unknown): boolean {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  return (
    code.startsWith("ERR_TLS_CERT") ||
    code.startsWith("CERT_") ||
    code.includes("SELF_SIGNED_CERT") ||
    code.startsWith("UNABLE_TO_")
  );
}
