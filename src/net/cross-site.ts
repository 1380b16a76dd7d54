import type { IncomingHttpHeaders } from "node:http";
import { isIP } from "node:net";
import { hostOfHeader } from "../lib/host.js";
import { errorReply, type Layer, type Refusal } from "./exchange.js";
import type { AllowedOrigins } from "./origins.js";

export interface SitePolicy {
  /** Origins that may use the server from a browser. */
  readonly allowed: AllowedOrigins;
  readonly advertisedHostname: string;
  readonly scheme?: "http" | "https";
}

export interface SiteGuard {
  /** The Origin header, if that origin is allowed. */
  allowedOrigin(headers: IncomingHttpHeaders): string | undefined;
  /**
   * True for a request from a browser to a host name that is not ours: a page that rebinds its own name to our address
   * (DNS rebinding) could read our responses. Clients other than browsers may use any name.
   */
  refusesHost(headers: IncomingHttpHeaders): boolean;
  /** True for a write that a browser sends on behalf of another site. */
  refuses(headers: IncomingHttpHeaders): boolean;
}

/** Protects unauthenticated servers from other web sites, including DNS rebinding. */
export function createSiteGuard({ allowed, advertisedHostname, scheme = "http" }: SitePolicy): SiteGuard {
  const known = (name: string) => name === "localhost" || name === advertisedHostname.toLowerCase() || isIP(name) !== 0;
  const hostOf = ({ host }: IncomingHttpHeaders) => host?.toLowerCase() ?? "";
  const refusesHost = (headers: IncomingHttpHeaders) => fromBrowser(headers) && !known(hostOfHeader(hostOf(headers)));

  return {
    allowedOrigin: ({ origin }) => (origin !== undefined && allowed(origin) ? origin : undefined),
    refusesHost,
    refuses(headers) {
      if (!fromBrowser(headers)) return false;
      if (refusesHost(headers)) return true;
      const { origin } = headers;
      if (origin !== undefined && allowed(origin)) return false;
      if (origin !== undefined && origin !== `${scheme}://${hostOf(headers)}`) return true;
      const site = headers["sec-fetch-site"];
      return site !== undefined && site !== "same-origin" && site !== "none";
    },
  };
}

/**
 * Headers that browsers send and that kumactl, curl, Prometheus and Go's client do not. Over plain HTTP a page's GET
 * has neither Origin nor Sec-Fetch-*, and a page may set its own User-Agent; it cannot remove Accept-Language.
 */
const browserHeaders: ReadonlySet<string> = new Set(["origin", "accept-language", "referer", "cookie"]);

function fromBrowser(headers: IncomingHttpHeaders): boolean {
  for (const name in headers) if (browserHeaders.has(name) || name.startsWith("sec-fetch-")) return true;
  return headers["user-agent"]?.startsWith("Mozilla/") === true;
}

/** Rejects every browser request to a host name that is not ours. */
export function knownHostsOnly(guard: SiteGuard, refused: (reason: Refusal) => void = () => {}): Layer {
  return (handler) => (request) => {
    if (!guard.refusesHost(request.headers)) return handler(request);
    refused("host");
    return errorReply("http.host", { host: JSON.stringify((request.headers.host ?? "").slice(0, 100)) });
  };
}
