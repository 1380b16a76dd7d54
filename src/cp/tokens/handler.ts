import type { SigningKey } from "../../identity/signing-key.js";
import { issueToken } from "../../identity/tokens.js";
import type { Logger } from "../../lib/logger.js";
import type { SiteGuard } from "../../net/cross-site.js";
import type { Endpoint } from "../../net/endpoints.js";
import type { HttpReply, HttpRequest } from "../../net/exchange.js";
import { parseTokenRequest } from "./request.js";

export interface TokenOptions {
  readonly key: SigningKey;
  readonly guard: SiteGuard;
  readonly logger: Logger;
  readonly now: () => Date;
}

/** Plain text, for reading in a terminal; a token has no line break, so that it can be saved to a file unchanged. */
const plain = (status: number, body: string): HttpReply => ({
  status,
  headers: { "Content-Type": "text/plain" },
  body,
});

/** `POST /tokens`: a token for one Dataplane, which need not exist yet. The media type of the request is ignored. */
export const tokenEndpoint = (options: TokenOptions): Endpoint => ({
  methods: ["POST"],
  path: "/tokens",
  title: "Could not issue a token",
  access: "generate-token",
  handle: ({ request }) => issue(options, request),
});

function issue({ key, guard, logger, now }: TokenOptions, { headers, body }: HttpRequest): HttpReply {
  if (guard.refuses(headers)) return plain(403, "Cross-site request refused");
  const parsed = parseTokenRequest(body);
  if (parsed.kind === "refused") return plain(parsed.status, parsed.reason);
  const token = issueToken(key, parsed.request, now());
  logger.info("issued a token", { ...parsed.request });
  return plain(200, token);
}
