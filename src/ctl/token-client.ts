import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { UserError } from "../lib/errors.js";
import { isJsonObject, parseJsonObject } from "../lib/json.js";
import { visible } from "../lib/visible.js";
import type { Context } from "./config-file.js";
import { excerpt } from "./foreign.js";
import { below, parseAddress, type Request, send } from "./http.js";
import { resolvesToLoopback } from "./loopback.js";

const timeout = 10_000;

/** The token server's URLs in the control plane's catalogue; empty when that server is not running. */
export interface TokenApi {
  readonly localUrl: string;
  readonly publicUrl: string;
}

export function readTokenApi(catalogue: unknown): TokenApi {
  const apis = isJsonObject(catalogue) && isJsonObject(catalogue.apis) ? catalogue.apis : {};
  const { localUrl, publicUrl } = isJsonObject(apis.dataplaneToken) ? apis.dataplaneToken : {};
  const word = (value: unknown) => (typeof value === "string" ? value : "");
  return { localUrl: word(localUrl), publicUrl: word(publicUrl) };
}

const remedies = `Possible solutions:
1) Configure TLS on both sides: on the Control Plane with KUMA_DATAPLANE_TOKEN_SERVER_PUBLIC_*, and here with
   \`kumactl config control-planes add --dataplane-token-client-cert FILE --dataplane-token-client-key FILE\`
2) Run this command on the machine of the Control Plane
3) Forward the port with SSH: ssh -L 5681:localhost:5681 -L 5679:localhost:5679 HOST, and use http://localhost:5681`;

/** The token server's URL and the client certificate to use. */
export interface TokenEndpoint {
  readonly url: URL;
  readonly client?: NonNullable<Request["client"]>;
}

function endpointUrl(text: string): URL {
  const url = parseAddress(text);
  if (url) return url;
  throw UserError.of("token-client.address", { address: visible(text) });
}

/** Chooses between the local and the public token server. */
export async function findTokenServer(api: TokenApi, address: URL, context: Context): Promise<TokenEndpoint> {
  if (api.localUrl === "") throw UserError.of("token-client.disabled");
  // The local token server is only reachable on its own machine.
  const local = await resolvesToLoopback(address.hostname).catch((error: unknown) => {
    throw UserError.of("token-client.unavailable", { reason: error });
  });
  if (local) return { url: endpointUrl(api.localUrl) };
  const { clientCert, clientKey } = context.credentials?.dataplaneTokenApi ?? {};
  const configured = clientCert !== undefined && clientKey !== undefined;
  if (api.publicUrl === "" || !configured) {
    const server = api.publicUrl === "" ? "the Control Plane has no public Dataplane Token Server" : "";
    const client = configured ? "" : "kumactl has no client certificate for this Control Plane";
    const missing = [server, client].filter((side) => side !== "").join(", and ");
    throw UserError.of("token-client.remote", { missing, remedies });
  }
  return { url: endpointUrl(api.publicUrl), client: await readClient(clientCert, clientKey) };
}

async function readClient(certFile: string, keyFile: string): Promise<NonNullable<Request["client"]>> {
  const [cert, key] = await Promise.all([readFile(certFile, "utf8"), readFile(keyFile, "utf8")]).catch(
    (error: unknown) => {
      throw UserError.of("token-client.unreadable", { reason: error });
    },
  );
  // Checked here, because TLS would fail with an OpenSSL error message.
  if (belongTogether(cert, key)) return { cert, key };
  throw UserError.of("token-client.mismatch", { certFile, keyFile });
}

function belongTogether(cert: string, key: string): boolean {
  try {
    return new X509Certificate(cert).checkPrivateKey(createPrivateKey(key));
  } catch {
    return false;
  }
}

export interface TokenRequest {
  readonly name: string;
  readonly mesh: string;
  /** A duration such as 720h; without it the token never expires. */
  readonly validFor?: string;
}

const unknownClient =
  "This is also how a Control Plane refuses a client certificate that it doesn't know: it has to be a .pem file in the " +
  "directory KUMA_DATAPLANE_TOKEN_SERVER_PUBLIC_CLIENT_CERTS_DIR since before the Control Plane started";

/** Whether the peer closed the connection without answering. */
function isCut(error: unknown): boolean {
  const cause = error instanceof Error ? error.cause : undefined;
  return cause instanceof Error && "code" in cause && cause.code === "ECONNRESET";
}

/** Far larger than any token of the server. Tokens contain neither blanks nor control characters. */
const longestToken = 64 * 1024;
const isToken = (text: string) => text.length <= longestToken && /^[\x21-\x7e]+$/.test(text);

/** Whether the token has no expiry; false when it can't be parsed. */
function neverExpires(token: string): boolean {
  const claims = parseJsonObject(Buffer.from(token.split(".")[1] ?? "", "base64url").toString("utf8"));
  return claims !== undefined && !("exp" in claims);
}

/** Requests a token for one dataplane; it has no line break. */
export async function requestToken({ url, client }: TokenEndpoint, request: TokenRequest): Promise<string> {
  const answer = await send({
    method: "POST",
    url: below(url, "tokens"),
    body: JSON.stringify(request),
    timeout,
    ...(client === undefined ? {} : { client }),
  }).catch((error: unknown) => {
    const hint = client !== undefined && isCut(error) ? `. ${unknownClient}` : "";
    throw UserError.of("token-server.unreachable", { server: url.origin, reason: error, hint });
  });
  if (answer.status === 200) {
    if (isToken(answer.body)) {
      if (request.validFor === undefined || !neverExpires(answer.body)) return answer.body;
      throw UserError.of("token-server.endless", { server: url.origin });
    }
    throw UserError.of("token-server.unexpected", { server: url.origin });
  }
  const said = visible(excerpt(answer.body.trim()));
  throw UserError.of("token-server.refused", { status: answer.status, answer: said === "" ? "" : `: ${said}` });
}
