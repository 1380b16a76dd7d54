import type { HttpHandler } from "../../net/exchange.js";

/** The content of `/metrics`. */
export interface Exposition {
  readonly contentType: string;
  text(): Promise<string>;
}

/**
 * Serves `/healthy`, `/ready` (while `ready()` is true), with any method and empty bodies, and `/metrics` for
 * Prometheus; everything else gets 404.
 */
export function healthHandler(ready: () => boolean, metrics: Exposition): HttpHandler {
  return async ({ path, method }) => {
    switch (path) {
      case "/healthy":
        return { status: 200 };
      case "/ready":
        return { status: ready() ? 200 : 503 };
      case "/metrics":
        if (method !== "GET" && method !== "HEAD") return { status: 405, headers: { Allow: "GET" } };
        return { status: 200, headers: { "Content-Type": metrics.contentType }, body: await metrics.text() };
      default:
        return { status: 404 };
    }
  };
}
