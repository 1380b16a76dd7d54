import type { HttpHandler } from "../../net/exchange.js";

/** What `/metrics` answers. */
export interface Exposition {
  readonly contentType: string;
  text(): Promise<string>;
}

/**
 * `/healthy` while the process serves, `/ready` while `ready()` says so, with any method and empty bodies; `/metrics` for
 * Prometheus; everything else 404.
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
