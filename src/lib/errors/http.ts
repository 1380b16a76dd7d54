import { reply } from "./entry.js";

/** Error responses of the HTTP servers. Those without a title take the failed operation as a parameter. */
export const httpErrors = {
  "http.malformed": reply(400, "Malformed request")`This is not an HTTP/1.1 request`,
  "http.head-size": reply(431, "Request header too large")`Send fewer or shorter header lines`,
  "http.timeout": reply(408, "Request timeout")`The request did not arrive in time`,
  "http.body-size": reply(413, "Could not process a resource")`The body is larger than ${"limit"} bytes`,
  "http.unfinished": reply(
    503,
    "Could not process a resource",
  )`Too many clients have not completed their request bodies`,
  "http.path": reply(404, "Not found")`There is nothing at "${"path"}"${"hint"}`,
  "http.method": reply(405, "Method not allowed")`${"method"} is not supported here; supported: ${"methods"}`,
  "http.kubernetes": reply(405, "Method not allowed")`On Kubernetes the state of Kuma is changed with kubectl and CRDs;
    the HTTP API is read-only`,
  "http.host": reply(403, "Host refused")`browsers may not use the host ${"host"}: it has to be localhost, an IP address
    or the name in KUMA_GENERAL_ADVERTISED_HOSTNAME of the control plane`,
  "http.remote": reply(403, "Not allowed")`Changes are accepted only from the control plane's own machine; ${"problem"}.
    ${"remedy"}`,
  "http.cross-site": reply(403)`Cross-site request refused`,
  "http.not-acceptable": reply(406, "Not acceptable")`Responses are ${"produced"}`,
  "http.media-type": reply(415, "Unsupported media type")`Send the resource as application/json, not as ${"type"}`,
  "http.streams": reply(503, "Too many open streams")`Close some open streams, or try again later`,
  /** Anything unexpected is a bug: its cause is logged, never sent. */
  "http.internal": reply(500)`Internal Server Error`,

  "request.invalid": reply(400)`Request is not valid`,
  "request.empty": reply(400)`The body is empty; send the ${"type"} as JSON`,
  "request.not-json": reply(400)`The body is not valid JSON: ${"reason"}`,
  "request.unbounded": reply(400)`The body is too large: ${"reason"}`,
  "request.malformed": reply(400)`${"reason"}`,
  "request.resource": reply(400)`Resource is not valid`,
  "request.mesh": reply(400)`Mesh is not found`,
  "request.absent": reply(404)`Not found`,
  "request.dataplane": reply(404, "Could not find a Dataplane")`There is no Dataplane "${"name"}" in mesh "${"mesh"}"`,
  /** Another client wrote the same resource between our read and our write. */
  "request.conflict": reply(409)`Conflict`,
  "request.authority": reply(409)`${"reason"}`,
  "request.store": reply(503)`Store is not available`,
  "request.secret": reply(400)`${"problem"}`,
  "request.secrets-token": reply(401)`The secrets token is missing or wrong`,
} as const;

/** Errors in request bodies of the token server, whose responses are the message alone, in plain text. */
export const tokenRequestErrors = {
  "token-request.not-json": reply(400)`the body is not valid JSON (${"reason"}); expected for example ${"example"}`,
  "token-request.no-object": reply(400)`the body has to be an object such as ${"example"}`,
  "token-request.unknown-field": reply(400)`unknown field ${"field"}${"hint"}`,
  "token-request.no-text": reply(400)`${"field"} has to be text`,
  "token-request.empty": reply(400)`${"field"} cannot be empty`,
  "token-request.invalid": reply(400)`${"field"}: ${"problem"}`,
  "token-request.duration": reply(400)`validFor has to be a duration longer than 0s, such as 30m or 720h`,
  "token-request.too-long": reply(400)`validFor is too long; omit it for a token that never expires`,
} as const;
