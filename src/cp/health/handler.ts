import type { HttpHandler } from "../../net/exchange.js";

/** `/healthy` while the process serves, `/ready` while `ready()` says so; any method, empty bodies, everything else 404. */
export function healthHandler(ready: () => boolean): HttpHandler {
  return ({ path }) => {
    switch (path) {
      case "/healthy":
        return { status: 200 };
      case "/ready":
        return { status: ready() ? 200 : 503 };
      default:
        return { status: 404 };
    }
  };
}
