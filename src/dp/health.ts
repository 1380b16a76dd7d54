import { UserError } from "../lib/errors.js";
import { bind } from "../net/listen.js";

export interface Health {
  /** True while Envoy's process exists. */
  readonly running: () => boolean;
  /** True while Envoy serves and no stop was requested. */
  readonly ready: () => Promise<boolean>;
}

export interface HealthServer {
  readonly port: number;
  close(): Promise<void>;
}

/**
 * Serves `GET /healthy` and `GET /ready` on all interfaces: 200 or 503, other paths 404. This process answers, so a
 * probe starts no process. Throws UserError("port.health") when the port is not available.
 */
export async function serveHealth(port: number, health: Health): Promise<HealthServer> {
  const { createServer } = await import("node:http");
  const answers: Readonly<Record<string, () => Promise<boolean>>> = {
    "/healthy": async () => health.running(),
    "/ready": health.ready,
  };
  const status = async (method: string | undefined, url: string | undefined): Promise<number> => {
    const path = (url ?? "").split("?", 1)[0] ?? "";
    const answer = Object.hasOwn(answers, path) ? answers[path] : undefined;
    if (answer === undefined) return 404;
    if (method !== "GET" && method !== "HEAD") return 405;
    // An Envoy that does not answer is an Envoy that is not ready.
    return (await answer().catch(() => false)) ? 200 : 503;
  };
  const server = createServer(
    { requestTimeout: 5000, headersTimeout: 5000, maxHeaderSize: 8192 },
    (request, response) => {
      status(request.method, request.url).then((code) => {
        response.writeHead(code, { "content-type": "text/plain", connection: "close" });
        response.end(code === 200 ? "OK\n" : "");
      });
    },
  );
  server.maxConnections = 64;
  const bound = await bind(server, { port }).catch((error: unknown) => {
    throw UserError.of("port.health", { port, reason: error });
  });
  // Without a free file descriptor a probe can't be accepted. It fails; kuma-dp keeps running.
  server.on("error", () => undefined);
  return {
    port: bound,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
