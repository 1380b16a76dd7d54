import type { IncomingMessage, ServerResponse } from "node:http";
import https from "node:https";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { issueCertificate } from "../support/certificates.js";
import type { ApiServer } from "./api-server.js";

/** An answer in place of the API server's. */
export interface Fault {
  readonly status: number;
  /** Seconds. */
  readonly retryAfter?: number;
  /** In place of a Status object. */
  readonly body?: string;
}

/** What a fault may depend on. */
export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly isWatch: boolean;
  readonly authorization: string;
}

/** A proxy in front of an API server, that does to clients what real networks and servers do. */
export interface FaultProxy {
  readonly url: string;
  /** Open connections of clients. */
  readonly connections: number;
  /** Watches that are being served. */
  readonly watches: number;
  /** How many requests were answered with this status so far. */
  answered(status: number): number;
  /** Resets all connections. */
  cut(): void;
  /** Answers in place of the API server, for requests that the function returns a fault for. */
  fail(fault: (asked: Asked) => Fault | undefined): void;
  heal(): void;
  /** Keeps everything open and passes nothing on. */
  stall(): void;
  /** Passes on what was held back. */
  resume(): void;
  /** Connections that are open now stay silent for ever; new ones work. */
  abandon(): void;
  close(): Promise<void>;
}

/** The end of a watch whose version is too old, as the API server says it. */
export const expired: Fault = {
  status: 200,
  body: `${JSON.stringify({ type: "ERROR", object: { kind: "Status", apiVersion: "v1", status: "Failure", reason: "Expired", message: "too old resource version", code: 410 } })}\n`,
};

export async function startFaultProxy(server: Pick<ApiServer, "url" | "issuer" | "authority">): Promise<FaultProxy> {
  const agent = new https.Agent({ keepAlive: true, ca: server.authority });
  const sockets = new Set<Duplex>();
  const abandoned = new WeakSet<Duplex>();
  const watches = new Set<ServerResponse>();
  const statuses = new Map<number, number>();
  const held: (() => void)[] = [];
  let stalled = false;
  let faultOf: (asked: Asked) => Fault | undefined = () => undefined;

  /** Runs it, in order, once nothing is stalled. */
  function pass(socket: Duplex, step: () => void): void {
    if (abandoned.has(socket)) return;
    if (stalled) held.push(step);
    else step();
  }

  function count(status: number): void {
    statuses.set(status, (statuses.get(status) ?? 0) + 1);
  }

  function refuse(response: ServerResponse, { status, retryAfter, body }: Fault): void {
    count(status);
    response.writeHead(status, {
      "content-type": "application/json",
      ...(retryAfter === undefined ? {} : { "retry-after": String(retryAfter) }),
    });
    response.end(body ?? JSON.stringify({ kind: "Status", apiVersion: "v1", code: status, message: "a fault" }));
  }

  function forward(request: IncomingMessage, response: ServerResponse, isWatch: boolean): void {
    const { socket } = request;
    const { method, url = "", headers } = request;
    const upstream = https.request(new URL(url, server.url), { method, headers, agent }, (answer) => {
      count(answer.statusCode ?? 0);
      if (isWatch) watches.add(response);
      pass(socket, () => response.writeHead(answer.statusCode ?? 502, answer.headers).flushHeaders());
      answer.on("data", (chunk: Buffer) => pass(socket, () => response.write(chunk)));
      answer.on("end", () => pass(socket, () => response.end()));
      answer.on("error", () => socket.destroy());
    });
    response.on("close", () => {
      watches.delete(response);
      upstream.destroy();
    });
    upstream.on("error", () => socket.destroy());
    request.pipe(upstream);
  }

  const { cert, key } = issueCertificate({ name: "fault-proxy", by: server.issuer, hosts: ["127.0.0.1"] });
  const proxy = https.createServer({ cert, key }, (request, response) => {
    const { method = "GET", url = "", headers, socket } = request;
    const { pathname, searchParams } = new URL(url, server.url);
    const isWatch = searchParams.get("watch") === "true";
    const asked = { method, path: pathname, isWatch, authorization: headers.authorization ?? "" };
    pass(socket, () => {
      const fault = faultOf(asked);
      if (fault === undefined) forward(request, response, isWatch);
      else refuse(response, fault);
    });
  });
  proxy.on("secureConnection", (socket: Duplex) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => void proxy.listen(0, "127.0.0.1", resolve));
  const { port } = proxy.address() as AddressInfo;

  function resume(): void {
    stalled = false;
    for (const step of held.splice(0)) step();
  }

  return {
    url: `https://127.0.0.1:${port}`,
    get connections() {
      return sockets.size;
    },
    get watches() {
      return watches.size;
    },
    answered: (status) => statuses.get(status) ?? 0,
    cut() {
      for (const socket of sockets) socket.destroy();
    },
    fail(fault) {
      faultOf = fault;
    },
    heal() {
      faultOf = () => undefined;
    },
    stall() {
      stalled = true;
    },
    resume,
    abandon() {
      for (const socket of sockets) abandoned.add(socket);
    },
    async close() {
      resume();
      for (const socket of sockets) socket.destroy();
      agent.destroy();
      await new Promise<void>((resolve) => void proxy.close(() => resolve()));
    },
  };
}
