import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { messageOf, UserError } from "../lib/errors.js";
import { isJsonObject, parseJsonObject } from "../lib/json.js";
import { visible } from "../lib/visible.js";
import type { Context } from "./config-file.js";
import { excerpt } from "./foreign.js";
import { below, parseAddress, type Request, send } from "./http.js";
import { resolvesToLoopback } from "./loopback.js";

const timeout = 10_000;

/** Where tokens are issued, as the control plane's catalogue says it: empty for a server that isn't running. */
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

/** A way to the token server: where, and with which client certificate. */
export interface TokenEndpoint {
  readonly url: URL;
  readonly client?: NonNullable<Request["client"]>;
}

function refuse(message: string): UserError {
  return new UserError("token.unavailable", `failed to create dataplane token client: ${message}`);
}

function endpointUrl(text: string): URL {
  const url = parseAddress(text);
  if (url) return url;
  throw refuse(`the Control Plane's catalogue gives "${visible(text)}" as the address of its Dataplane Token Server`);
}

/** Chooses between the local and the public token server. */
export async function findTokenServer(api: TokenApi, address: URL, context: Context): Promise<TokenEndpoint> {
  if (api.localUrl === "") {
    throw refuse(
      "Enable the server on the Control Plane to be able to generate tokens (KUMA_DATAPLANE_TOKEN_SERVER_ENABLED=true).",
    );
  }
  // Only on its own machine is the local token server within reach.
  const local = await resolvesToLoopback(address.hostname).catch((error: unknown) => {
    throw refuse(messageOf(error));
  });
  if (local) return { url: endpointUrl(api.localUrl) };
  const { clientCert, clientKey } = context.credentials?.dataplaneTokenApi ?? {};
  const configured = clientCert !== undefined && clientKey !== undefined;
  if (api.publicUrl === "" || !configured) {
    const server = api.publicUrl === "" ? "the Control Plane has no public Dataplane Token Server" : "";
    const client = configured ? "" : "kumactl has no client certificate for this Control Plane";
    const sides = [server, client].filter((side) => side !== "").join(", and ");
    throw refuse(`the Control Plane runs on another machine, but ${sides}.\n${remedies}`);
  }
  return { url: endpointUrl(api.publicUrl), client: await readClient(clientCert, clientKey) };
}

async function readClient(certFile: string, keyFile: string): Promise<NonNullable<Request["client"]>> {
  const [cert, key] = await Promise.all([readFile(certFile, "utf8"), readFile(keyFile, "utf8")]).catch(
    (error: unknown) => {
      throw refuse(`the client certificate can't be read: ${messageOf(error)}`);
    },
  );
  // TLS would say this in words of OpenSSL.
  if (belongTogether(cert, key)) return { cert, key };
  throw refuse(`"${certFile}" and "${keyFile}" are not a certificate and its key, both in PEM`);
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
  /** In the syntax of durations; without it the token never expires. */
  readonly validFor?: string;
}

const unknownClient =
  "This is also how a Control Plane refuses a client certificate that it doesn't know: it has to be a .pem file in the " +
  "directory KUMA_DATAPLANE_TOKEN_SERVER_PUBLIC_CLIENT_CERTS_DIR since before the Control Plane started";

/** Whether the other side ended the connection without a word. */
function isCut(error: unknown): boolean {
  const cause = error instanceof Error ? error.cause : undefined;
  return cause instanceof Error && "code" in cause && cause.code === "ECONNRESET";
}

/** The server's largest token is far smaller; in one there are neither blanks nor control characters. */
const longestToken = 64 * 1024;
const isToken = (text: string) => text.length <= longestToken && /^[\x21-\x7e]+$/.test(text);

/** Whether a token says of itself that it has no end; false for one that can't be read. */
function neverExpires(token: string): boolean {
  const claims = parseJsonObject(Buffer.from(token.split(".")[1] ?? "", "base64url").toString("utf8"));
  return claims !== undefined && !("exp" in claims);
}

/** A token for one dataplane, without a line break. */
export async function requestToken({ url, client }: TokenEndpoint, request: TokenRequest): Promise<string> {
  const prefix = "failed to generate a dataplane token: ";
  const answer = await send({
    method: "POST",
    url: below(url, "tokens"),
    body: JSON.stringify(request),
    timeout,
    ...(client === undefined ? {} : { client }),
  }).catch((error: unknown) => {
    const hint = client !== undefined && isCut(error) ? `. ${unknownClient}` : "";
    throw new UserError("token.unreachable", `${prefix}could not reach ${url.origin}: ${messageOf(error)}${hint}`);
  });
  if (answer.status === 200) {
    if (isToken(answer.body)) {
      if (request.validFor === undefined || !neverExpires(answer.body)) return answer.body;
      const way = "leave --valid-for out to get such a token";
      throw new UserError(
        "token.unexpected",
        `${prefix}${url.origin} takes no --valid-for, as Kuma 0.3 does not: its token never expires and is not shown; ${way}`,
      );
    }
    throw new UserError("token.unexpected", `${prefix}${url.origin} answered with something that is not a token`);
  }
  const said = visible(excerpt(answer.body.trim()));
  throw new UserError(
    "token.refused",
    `${prefix}unexpected status code ${answer.status}${said === "" ? "" : `: ${said}`}. Expected 200`,
  );
}
