import type { IncomingMessage, RequestOptions } from "node:http";
import { messageOf, UserError } from "../lib/errors.js";

export interface Request {
  readonly method: "GET" | "PUT" | "DELETE" | "POST";
  readonly url: URL;
  readonly body?: string;
  /** The header of that name. */
  readonly authorization?: string;
  /** Milliseconds for the whole exchange, the last byte of the answer included. */
  readonly timeout: number;
  /** PEM of the client; the server's certificate is then not verified, as its issuer is known to nobody. */
  readonly client?: { readonly cert: string; readonly key: string };
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

/** More than any list of resources a person asks for; a stranger's endless answer ends here. */
const largestAnswer = 256 * 1024 * 1024;

/**
 * Sends one request and reads the whole answer, whatever its status. Throws UserError("http.unreachable") when there is
 * none. Built on node:http, because a process that makes one request starts faster with it than with `fetch`.
 */
export async function send({ method, url, body, authorization, timeout, client }: Request): Promise<Answer> {
  const { request } = url.protocol === "https:" ? await import("node:https") : await import("node:http");
  const signal = AbortSignal.timeout(timeout);
  // Kuma 0.3 refuses JSON alone (406) where it does not say itself that it answers in JSON: its index and its catalogue.
  const headers: Record<string, string | number> = { accept: "application/json, */*" };
  if (authorization !== undefined) headers.authorization = authorization;
  if (body !== undefined) {
    headers["content-type"] = "application/json";
    headers["content-length"] = Buffer.byteLength(body);
  }
  // No connection is kept: an idle socket would keep the process awake.
  const options: RequestOptions = { method, headers, signal, agent: false };
  const trust = client ? { ...client, rejectUnauthorized: false } : {};
  return new Promise((resolve, reject) => {
    const fail = (error: Error) => {
      const reason = signal.aborted ? `no answer within ${timeout / 1000}s` : messageOf(error);
      reject(UserError.of("http.unreachable", { reason }, { cause: error }));
    };
    const outgoing = request(url, { ...options, ...trust }, (response) => {
      const chunks: Buffer[] = [];
      let size = 0;
      response.on("data", (chunk: Buffer) => {
        size += chunk.length;
        if (size > largestAnswer) outgoing.destroy(new Error(`the answer is larger than ${largestAnswer} bytes`));
        else chunks.push(chunk);
      });
      response.on("error", fail);
      response.on("end", () => {
        const { statusCode = 0, headers } = response;
        resolve({ status: statusCode, headers, body: Buffer.concat(chunks).toString("utf8") });
      });
    });
    outgoing.on("error", fail);
    outgoing.end(body);
  });
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
