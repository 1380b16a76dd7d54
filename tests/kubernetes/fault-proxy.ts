import type http from "node:http";
import https from "node:https";
import { type AddressInfo, Socket } from "node:net";
import type { Duplex } from "node:stream";
import { type IssuedCertificate, issueCertificate } from "../support/certificates.js";
import { type ApiRequest, apiRequest } from "./api-request.js";
import type { Cluster } from "./cluster.js";

/** Which requests; a field that is left out matches all. */
export interface RequestMatch {
  readonly verb?: string;
  readonly resource?: string;
}

export interface Fault {
  /** How many requests it meets; all of them by default, until `heal`. */
  readonly times?: number;
}

interface FaultAnswer extends Fault {
  readonly status: number;
  readonly reason?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** In place of a Status object. */
  readonly body?: string;
}

/** A TLS proxy in front of an API server that adds faults, and counts requests. */
export interface FaultProxy {
  /** Instead of the API server's; the same CA certificate verifies it. */
  readonly url: string;
  /** The requests so far that match, those that met a fault included. */
  count(match?: RequestMatch): number;
  /** Requests by "verb resource". */
  counts(): Readonly<Record<string, number>>;
  /** Forgets the requests so far. */
  resetCounts(): void;
  /** How many requests were answered with this status, by the API server or by a fault. */
  answered(status: number): number;
  /** Open connections of clients. */
  readonly connections: number;
  /** Open watches that match. */
  watches(match?: RequestMatch): number;
  /** Answers with a Status of this code, such as 410 or 500. */
  answer(match: RequestMatch, answer: FaultAnswer): void;
  /** Answers 429 with Retry-After. */
  throttle(match: RequestMatch, retryAfterSeconds: number, fault?: Fault): void;
  /** Holds requests back before they are passed on. */
  delay(match: RequestMatch, ms: number, fault?: Fault): void;
  /** Answers 401 to this bearer token, as after its rotation, also where a watch of it is opened. */
  refuseToken(token: string): void;
  /** Ends open watches by closing their connections in the middle. @returns how many */
  dropWatches(match?: RequestMatch): number;
  /** Ends open watches with the event ERROR 410, as the API server does when a resourceVersion is too old. */
  expireWatches(match?: RequestMatch): number;
  /**
   * From now on matching requests and open watches get no more bytes, while their connections stay open: like a
   * firewall that has forgotten them. Ends with `heal`, when the bytes arrive after all.
   */
  stall(match?: RequestMatch): void;
  /** Connections that are open now get no more bytes and stay open, for good; new ones work. */
  abandon(): void;
  /** Resets all connections; new ones work. */
  cut(): void;
  /** Resets all connections, and new ones until `heal`. */
  disconnect(): void;
  /** Ends all faults. */
  heal(): void;
  close(): Promise<void>;
}

interface Rule {
  readonly match: RequestMatch;
  readonly act: "answer" | "delay" | "stall";
  readonly answer?: FaultAnswer;
  readonly ms?: number;
  left: number;
}

interface OpenWatch {
  readonly request: ApiRequest;
  readonly response: http.ServerResponse;
  readonly upstream: http.IncomingMessage;
}

const matches = ({ verb, resource }: RequestMatch, request: ApiRequest) =>
  (verb === undefined || verb === request.verb) && (resource === undefined || resource === request.resource);

const reasons: Readonly<Record<number, string>> = {
  401: "Unauthorized",
  403: "Forbidden",
  409: "Conflict",
  410: "Expired",
  429: "TooManyRequests",
  500: "InternalError",
  503: "ServiceUnavailable",
  504: "Timeout",
};

/** The API server's own form of an error. */
const statusObject = (code: number, reason = reasons[code] ?? "Unknown") => ({
  kind: "Status",
  apiVersion: "v1",
  metadata: {},
  status: "Failure",
  message: `${reason} (a fault of the test)`,
  reason,
  code,
});

/** The end of a watch whose version is too old, as the API server sends it. */
export const expired: FaultAnswer = {
  status: 200,
  body: `${JSON.stringify({ type: "ERROR", object: statusObject(410) })}\n`,
};

function sendStatus(response: http.ServerResponse, { status, reason, headers = {}, body }: FaultAnswer): void {
  const text = body ?? JSON.stringify(statusObject(status, reason));
  response.writeHead(status, { "content-type": "application/json", ...headers });
  response.end(text);
}

function reset(socket: Duplex): void {
  if (socket instanceof Socket) socket.resetAndDestroy();
  else socket.destroy();
}

/** Headers that concern one connection only. */
const ofConnection = ["connection", "keep-alive", "transfer-encoding", "upgrade"];

const forwarded = (headers: http.IncomingHttpHeaders) =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => !ofConnection.includes(name)));

/** @param issuer issues the proxy's certificate; that of the cluster, so that clients need no other CA */
export async function startFaultProxy(
  cluster: Pick<Cluster, "url" | "authority">,
  issuer: IssuedCertificate,
): Promise<FaultProxy> {
  const { cert, key } = issueCertificate({ name: "fault-proxy", by: issuer, hosts: ["localhost", "127.0.0.1"] });
  const target = new URL(cluster.url);
  const agent = new https.Agent({ keepAlive: true, ca: cluster.authority });
  const seen = new Map<string, { readonly request: ApiRequest; count: number }>();
  const rules = new Set<Rule>();
  const refused = new Set<string>();
  const statuses = new Map<number, number>();
  /** How many times connections had been abandoned when each was made. */
  const born = new WeakMap<Duplex, number>();
  let abandonments = 0;
  const sockets = new Set<Duplex>();
  const open = new Set<OpenWatch>();
  /** Requests that wait for `heal`. */
  const waiting = new Set<() => void>();
  let disconnected = false;

  function note(request: ApiRequest): void {
    const key = `${request.verb} ${request.resource}`;
    const entry = seen.get(key) ?? { request, count: 0 };
    entry.count++;
    seen.set(key, entry);
  }

  const isAbandoned = (socket: Duplex) => (born.get(socket) ?? 0) < abandonments;

  function answered(status: number): void {
    statuses.set(status, (statuses.get(status) ?? 0) + 1);
  }

  function refuse(response: http.ServerResponse, answer: FaultAnswer): void {
    answered(answer.status);
    sendStatus(response, answer);
  }

  /** The first rule that meets this request; it is used up by it. */
  function ruleFor(request: ApiRequest): Rule | undefined {
    const rule = [...rules].find(({ match }) => matches(match, request));
    if (rule !== undefined && --rule.left <= 0) rules.delete(rule);
    return rule;
  }

  function pass(incoming: http.IncomingMessage, response: http.ServerResponse, request: ApiRequest): void {
    const { hostname, port } = target;
    const headers = { ...forwarded(incoming.headers), host: target.host };
    const { method = "GET", url: place = "/" } = incoming;
    const outgoing = https.request({ hostname, port, method, path: place, headers, agent }, (upstream) => {
      if (isAbandoned(incoming.socket)) return;
      answered(upstream.statusCode ?? 502);
      response.writeHead(upstream.statusCode ?? 502, forwarded(upstream.headers));
      response.flushHeaders();
      upstream.on("error", () => response.destroy());
      if (request.verb === "watch") {
        const watch = { request, response, upstream };
        open.add(watch);
        response.on("close", () => open.delete(watch));
      }
      upstream.pipe(response);
    });
    outgoing.on("error", () => response.destroy());
    response.on("close", () => outgoing.destroy());
    incoming.pipe(outgoing);
  }

  function handle(incoming: http.IncomingMessage, response: http.ServerResponse): void {
    const request = apiRequest(incoming.method ?? "GET", incoming.url ?? "/");
    note(request);
    if (isAbandoned(incoming.socket)) return;
    response.on("error", () => response.destroy());
    if (refused.has((incoming.headers.authorization ?? "").replace(/^Bearer /i, ""))) {
      refuse(response, { status: 401 });
      return;
    }
    const rule = ruleFor(request);
    if (rule === undefined) pass(incoming, response, request);
    else if (rule.act === "answer" && rule.answer !== undefined) {
      incoming.resume();
      refuse(response, rule.answer);
    } else if (rule.act === "delay") {
      const timer = setTimeout(pass, rule.ms, incoming, response, request);
      response.on("close", () => clearTimeout(timer));
    } else {
      const go = () => pass(incoming, response, request);
      waiting.add(go);
      response.on("close", () => waiting.delete(go));
    }
  }

  const server = https.createServer({ cert, key }, handle);
  server.on("connection", (socket) => {
    if (disconnected) {
      reset(socket);
      return;
    }
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  server.on("secureConnection", (socket) => void born.set(socket, abandonments));
  // A client that gives up during the handshake.
  server.on("tlsClientError", (_error, socket) => socket.destroy());
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;

  const add = (rule: Omit<Rule, "left">, times = Number.POSITIVE_INFINITY) => void rules.add({ ...rule, left: times });
  const watchesOf = (match: RequestMatch) => [...open].filter(({ request }) => matches(match, request));

  function heal(): void {
    disconnected = false;
    rules.clear();
    refused.clear();
    for (const go of waiting) go();
    waiting.clear();
    for (const { upstream, response } of open) if (!response.destroyed && upstream.isPaused()) upstream.pipe(response);
  }

  return {
    url: `https://127.0.0.1:${port}`,
    count: (match = {}) =>
      [...seen.values()].reduce((sum, { request, count }) => sum + (matches(match, request) ? count : 0), 0),
    counts: () => Object.fromEntries([...seen].map(([key, { count }]) => [key, count])),
    resetCounts: () => seen.clear(),
    answered: (status) => statuses.get(status) ?? 0,
    get connections() {
      return sockets.size;
    },
    watches: (match = {}) => watchesOf(match).length,
    answer: (match, answer) => add({ match, act: "answer", answer }, answer.times),
    throttle: (match, seconds, { times } = {}) =>
      add({ match, act: "answer", answer: { status: 429, headers: { "retry-after": String(seconds) } } }, times),
    delay: (match, ms, { times } = {}) => add({ match, act: "delay", ms }, times),
    refuseToken: (token) => void refused.add(token),
    dropWatches(match = {}) {
      const found = watchesOf(match);
      for (const { response } of found) response.socket?.destroy();
      return found.length;
    },
    expireWatches(match = {}) {
      const found = watchesOf(match);
      for (const { upstream, response } of found) {
        upstream.unpipe(response);
        response.end(`${JSON.stringify({ type: "ERROR", object: statusObject(410) })}\n`);
      }
      return found.length;
    },
    stall(match = {}) {
      add({ match, act: "stall" });
      for (const { upstream, response } of watchesOf(match)) {
        upstream.unpipe(response);
        upstream.pause();
      }
    },
    abandon() {
      abandonments++;
      for (const { upstream, response } of open) {
        upstream.unpipe(response);
        upstream.resume();
      }
    },
    cut() {
      for (const socket of sockets) reset(socket);
    },
    disconnect() {
      disconnected = true;
      for (const socket of sockets) reset(socket);
    },
    heal,
    async close() {
      agent.destroy();
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
