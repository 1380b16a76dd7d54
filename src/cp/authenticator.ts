import type { SigningKey } from "../identity/signing-key.js";
import { verifyToken } from "../identity/tokens.js";
import { createTokenReviewer } from "../kubernetes/token-review.js";
import type { KubernetesAccess } from "../store/kind.js";
import type { Authenticate } from "../xds/secrets/identities.js";
import type { StartContext } from "./start-context.js";

/** Authenticates proxies by dataplane tokens; without a token server, accepts any dataplane name without authentication. */
function byDataplaneToken(key: SigningKey | undefined): Authenticate {
  if (key === undefined) return () => ({ kind: "accepted", until: undefined });
  return (token, proxy) => {
    const verified = verifyToken([key], token ?? "", new Date());
    if (verified.kind === "refused") return { kind: "refused", reason: `the token is invalid: ${verified.reason}` };
    const { name, mesh, expires } = verified;
    if (name === proxy.name && mesh === proxy.mesh) return { kind: "accepted", until: expires };
    return { kind: "refused", reason: `the token is for dataplane "${name}" in mesh "${mesh}"` };
  };
}

/** How proxies prove who they are: on Kubernetes by tokens of their ServiceAccounts, elsewhere by dataplane tokens. */
export function authenticator(
  { settings: { environment }, defence }: Pick<StartContext, "settings" | "defence">,
  access: KubernetesAccess | undefined,
  key: SigningKey | undefined,
): Authenticate {
  if (environment !== "kubernetes") return byDataplaneToken(key);
  // Falling back to dataplane tokens would accept every name, since there is no key for them.
  if (access === undefined) throw new Error("there is no API server to review tokens");
  return createTokenReviewer({ client: access.client, incidents: defence.grpc("sds") });
}
