import http, { type IncomingMessage, type RequestOptions } from "node:http";
import https from "node:https";
import { messageOf } from "../lib/errors.js";
import { shortHash } from "../lib/short-hash.js";
import { build } from "../lib/version.js";
import type { Access, Credentials } from "./credentials.js";
import { errorOfAnswer, KubeError } from "./error.js";
import { kubeLimits } from "./limits.js";

export interface KubeRequest {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** With the query. */
  readonly path: string;
  readonly body?: unknown;
  readonly contentType?: string;
  readonly signal?: AbortSignal | undefined;
}

/** Sends requests with the credentials, over connections that are kept. */
export interface Transport {
  /** Sends one request and returns the parsed answer. @throws KubeError, or the reason of the abort */
  send(request: KubeRequest): Promise<unknown>;
  /** Opens a watch, over a connection of its own. It fails after `silenceMs` without a byte. @throws KubeError */
  open(request: KubeRequest, silenceMs: number): Promise<IncomingMessage>;
  close(): void;
}

/** The answer, or a page of it, is too large to be read. */
export class AnswerTooLarge extends KubeError {}

interface Agents {
  readonly key: string;
  readonly requests: http.Agent;
  readonly watches: http.Agent;
}

const timedOut = (doing: string, ms: number) => new KubeError(0, `${doing}: no answer within ${ms / 1_000} s`);

/** Reads a body of at most `limit` bytes. */
async function bodyOf(response: IncomingMessage, limit: number, tooLarge: () => Error): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > limit) throw tooLarge();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

/** A transport to the server that the credentials name. */
export function createTransport(credentials: Credentials): Transport {
  const { server } = credentials;
  const secure = server.protocol === "https:";
  const { Agent, request: start } = secure ? https : http;
  const base = server.pathname.replace(/\/+$/, "");
  const closed = new AbortController();
  let agents: Agents | undefined;

  /** After a connection failed, those that were opened with it are probably dead as well. */
  function dropIdle(): void {
    for (const idle of Object.values(agents?.requests.freeSockets ?? {}).flat()) idle?.destroy();
  }

  /** New connections after a change of certificates: open ones keep the identity they began with. */
  function agentsFor({ tls }: Access): Agents {
    const key = shortHash(JSON.stringify(Object.entries(tls).map(([name, value]) => [name, String(value)])));
    if (agents?.key === key) return agents;
    dropIdle();
    const connection = { keepAlive: true, keepAliveMsecs: kubeLimits.requestMs, timeout: 0 };
    agents = {
      key,
      requests: new Agent({ ...connection, ...tls, maxSockets: kubeLimits.connections }),
      watches: new Agent({ ...connection, ...tls, maxFreeSockets: 0 }),
    };
    return agents;
  }

  async function accessNow(doing: string): Promise<Access> {
    try {
      return await credentials.access();
    } catch (error) {
      throw new KubeError(0, `${doing}: ${messageOf(error)}`, { cause: error });
    }
  }

  function begin(
    { method, path, body, contentType = "application/json" }: KubeRequest,
    access: Access,
    kind: "requests" | "watches",
    signal: AbortSignal,
  ): Promise<IncomingMessage> {
    const text = body === undefined ? undefined : JSON.stringify(body);
    const headers: Record<string, string | number> = {
      ...access.headers,
      accept: "application/json",
      "user-agent": `kuma/${build.version}`,
    };
    if (text !== undefined) {
      headers["content-type"] = contentType;
      headers["content-length"] = Buffer.byteLength(text);
    }
    const options: RequestOptions = {
      method,
      path: base + path,
      headers,
      signal,
      host: server.hostname.replace(/^\[|\]$/g, ""),
      port: server.port === "" ? (secure ? 443 : 80) : server.port,
      agent: access.agent ?? agentsFor(access)[kind],
    };
    return new Promise((resolve, reject) => {
      const outgoing = start({ ...options, ...access.tls }, resolve);
      outgoing.on("error", reject);
      outgoing.on("socket", (socket) => socket.setKeepAlive(true, kubeLimits.requestMs));
      outgoing.end(text);
    });
  }

  /** Runs an exchange; sends it again once with new credentials after a 401. */
  async function authorized<T>(doing: string, exchange: (access: Access) => Promise<T>): Promise<T> {
    try {
      return await exchange(await accessNow(doing));
    } catch (error) {
      if (!(error instanceof KubeError) || error.status !== 401) throw error;
      credentials.renew();
      return exchange(await accessNow(doing));
    }
  }

  async function refused(response: IncomingMessage, doing: string): Promise<KubeError> {
    const { statusCode = 0, headers } = response;
    const text = await bodyOf(
      response,
      kubeLimits.errorBytes,
      () => new KubeError(statusCode, `${doing}: ${statusCode}`),
    );
    return errorOfAnswer(statusCode, text, doing, headers["retry-after"]);
  }

  /** Any error as a KubeError, unless the caller gave up. */
  function failureOf(error: unknown, doing: string, signal: AbortSignal | undefined, timeout?: AbortSignal): unknown {
    if (signal?.aborted) return signal.reason;
    if (!(error instanceof KubeError)) dropIdle();
    if (timeout?.aborted) return timedOut(doing, kubeLimits.requestMs);
    if (error instanceof KubeError) return error;
    return new KubeError(0, `${doing}: ${messageOf(error)}`, { cause: error });
  }

  const isSuccess = ({ statusCode = 0 }: IncomingMessage) => statusCode >= 200 && statusCode < 300;
  const doingOf = ({ method, path }: KubeRequest) => `${method} ${server.origin}${base}${path.split("?")[0]}`;

  return {
    async send(request) {
      const doing = doingOf(request);
      return authorized(doing, async (access) => {
        const timeout = AbortSignal.timeout(kubeLimits.requestMs);
        const signals = [timeout, closed.signal, ...(request.signal === undefined ? [] : [request.signal])];
        try {
          const response = await begin(request, access, "requests", AbortSignal.any(signals));
          if (!isSuccess(response)) throw await refused(response, doing);
          const limit = kubeLimits.answerBytes;
          const tooLarge = () => new AnswerTooLarge(0, `${doing}: the answer is larger than ${limit} bytes`);
          const text = await bodyOf(response, limit, tooLarge);
          if (text === "") return undefined;
          try {
            return JSON.parse(text);
          } catch (cause) {
            throw new KubeError(0, `${doing}: the answer is no JSON`, { cause });
          }
        } catch (error) {
          throw failureOf(error, doing, request.signal, timeout);
        }
      });
    },
    async open(request, silenceMs) {
      const doing = doingOf(request);
      return authorized(doing, async (access) => {
        const connecting = new AbortController();
        const late = setTimeout(() => connecting.abort(), kubeLimits.requestMs);
        const signals = [connecting.signal, closed.signal, ...(request.signal === undefined ? [] : [request.signal])];
        try {
          const response = await begin(request, access, "watches", AbortSignal.any(signals));
          if (!isSuccess(response)) throw await refused(response, doing);
          response.setTimeout(silenceMs, () => {
            dropIdle();
            response.destroy(new KubeError(0, `${doing}: silent for ${silenceMs / 1_000} s`));
          });
          return response;
        } catch (error) {
          throw failureOf(error, doing, request.signal, connecting.signal);
        } finally {
          clearTimeout(late);
        }
      });
    },
    close() {
      closed.abort();
      agents?.requests.destroy();
      agents?.watches.destroy();
    },
  };
}
