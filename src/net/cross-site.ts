import type { IncomingHttpHeaders } from "node:http";
import { isIP } from "node:net";
import { hostOfHeader } from "../lib/host.js";

export interface SitePolicy {
  /** Exact origins, or regular expressions that must match a whole origin. */
  readonly allowedDomains: readonly string[];
  readonly advertisedHostname: string;
  readonly scheme?: "http" | "https";
}

export interface SiteGuard {
  /** The Origin, when it is one of the allowed domains. */
  allowedOrigin(headers: IncomingHttpHeaders): string | undefined;
  /**
   * True for a write that a browser sends on behalf of another site. Clients other than browsers send neither `Origin`
   * nor `Sec-Fetch-*`, and are never refused: tunnels and DNS names keep working for them.
   */
  refuses(headers: IncomingHttpHeaders): boolean;
}

/** Guards unauthenticated writes against other web sites, DNS rebinding included. */
export function createSiteGuard(policy: SitePolicy): SiteGuard {
  const exact = new Set(policy.allowedDomains);
  const patterns = policy.allowedDomains.map((domain) => new RegExp(`^(?:${domain})$`));
  const scheme = policy.scheme ?? "http";
  const allowed = (origin: string) => exact.has(origin) || patterns.some((pattern) => pattern.test(origin));
  const known = (name: string) =>
    name === "localhost" || name === policy.advertisedHostname.toLowerCase() || isIP(name) !== 0;

  return {
    allowedOrigin: ({ origin }) => (origin !== undefined && allowed(origin) ? origin : undefined),
    refuses(headers) {
      const { origin } = headers;
      if (origin === undefined && !fromBrowser(headers)) return false;
      const host = headers.host?.toLowerCase() ?? "";
      if (!known(hostOfHeader(host))) return true;
      if (origin !== undefined && allowed(origin)) return false;
      if (origin !== undefined && origin !== `${scheme}://${host}`) return true;
      const site = headers["sec-fetch-site"];
      return site !== undefined && site !== "same-origin" && site !== "none";
    },
  };
}

function fromBrowser(headers: IncomingHttpHeaders): boolean {
  for (const name in headers) if (name.startsWith("sec-fetch-")) return true;
  return false;
}
