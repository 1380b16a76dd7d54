import { createHash } from "node:crypto";
import type { KubeClient } from "../kubeapi/client.js";
import { KubeError } from "../kubeapi/error.js";
import { messageOf } from "../lib/errors.js";
import { isJsonObject, parseJsonObject } from "../lib/json.js";
import { realTimers, type Timers } from "../lib/timers.js";
import type { Limit } from "../net/grpc-limits.js";
import type { Incidents } from "../net/incidents.js";
import { createPace } from "../net/pace.js";
import { dataplaneType } from "../resources/dataplane.js";
import { placeOf } from "../store/kubernetes/naming.js";
import { controllerOf, customObjects, meshOf } from "./custom-objects.js";
import { objectIn, textIn } from "./fields.js";

/** The audience of the tokens that sidecars present: other tokens of their pods are not for the control plane. */
export const tokenAudience = "kuma";

/** What proxies that connect may ask of the API server, by the name in the metric `refusals`. */
export const reviewLimits = {
  token_reviews: {
    value: 150,
    unit: "",
    // Those that would wait longer than a call may last without a valid request.
    sentence:
      "Proxies on Kubernetes whose tokens wait for a TokenReview, of which there are 20 a second; further calls end with " +
      "UNAUTHENTICATED, and are retried.",
  },
} as const satisfies Readonly<Record<string, Limit>>;

const bounds = {
  /** TokenReviews in a second. */
  perSecond: 20,
  /** For how long an accepted token is not reviewed again for the same proxy, in milliseconds. */
  acceptedMs: 10_000,
  /** Accepted tokens that are remembered. */
  remembered: 10_000,
  /** Of a token, in characters; those of Kubernetes have some 1,200. */
  tokenCharacters: 16 * 1024,
} as const;

/** The result of a review; the reason is for the log, never for the peer. */
export type Reviewed =
  | { readonly kind: "accepted"; readonly until: Date | undefined }
  | { readonly kind: "refused"; readonly reason: string };

interface ProxyName {
  readonly mesh: string;
  readonly name: string;
}

export type TokenReviewer = (token: string | undefined, proxy: ProxyName) => Promise<Reviewed>;

interface Options {
  readonly client: Pick<KubeClient, "get" | "request">;
  /** Counts proxies that are refused because too many others wait. */
  readonly incidents: Pick<Incidents, "refused">;
  readonly timers?: Timers;
}

const reviews = "/apis/authentication.k8s.io/v1/tokenreviews";
const podName = "authentication.kubernetes.io/pod-name";
const podUid = "authentication.kubernetes.io/pod-uid";

const refused = (reason: string): Reviewed => ({ kind: "refused", reason: `authentication failed: ${reason}` });
const invalidUser = "token doesn't belong to a valid user";

// A JWT: header, payload and signature, in base64url.
const tokenPattern = /^[A-Za-z0-9_-]+\.([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]+$/;

/** When the token expires, as it says itself: the API server has verified the claims. Undefined if it says nothing. */
function expiryOf(token: string): Date | undefined {
  const payload = tokenPattern.exec(token)?.[1] ?? "";
  const expires = parseJsonObject(Buffer.from(payload, "base64url").toString("utf8"))?.exp;
  return typeof expires === "number" && expires > 0 ? new Date(expires * 1_000) : undefined;
}

/** What the API server knows about the token's bearer. */
interface User {
  readonly username: string;
  readonly extra: Readonly<Record<string, unknown>>;
}

/** The user of a valid token for us; a text if it is none, which is the reason. */
function userOf(answer: unknown): User | string {
  const status = objectIn(objectIn(answer).status);
  // Absent means false.
  if (status.authenticated !== true) return invalidUser;
  const audiences = Array.isArray(status.audiences) ? status.audiences : [];
  if (!audiences.includes(tokenAudience)) return `token is not for the audience "${tokenAudience}"`;
  const user = objectIn(status.user);
  return { username: textIn(user.username), extra: objectIn(user.extra) };
}

/** The only value of an extra field; undefined if it is absent, and "" if there are several. */
function extraOf({ extra }: User, name: string): string | undefined {
  const values = Object.hasOwn(extra, name) ? extra[name] : undefined;
  if (!Array.isArray(values)) return undefined;
  return values.length === 1 ? textIn(values[0]) : "";
}

/**
 * Authenticates proxies by the tokens of their ServiceAccounts: the API server says whose token it is, and it has to be
 * that of the proxy's own pod. Whatever goes wrong refuses. Tokens are neither logged nor kept.
 */
export function createTokenReviewer({ client, incidents, timers = realTimers }: Options): TokenReviewer {
  const pace = createPace({ perSecond: bounds.perSecond, waiting: reviewLimits.token_reviews.value, timers });
  /** Until when each token counts as accepted, by the hash of token and proxy. */
  const accepted = new Map<string, { readonly until: Date | undefined; readonly at: number }>();
  const running = new Map<string, Promise<Reviewed>>();

  function remembered(key: string): Reviewed | undefined {
    const known = accepted.get(key);
    if (known === undefined) return undefined;
    if (timers.now() - known.at < bounds.acceptedMs) return { kind: "accepted", until: known.until };
    accepted.delete(key);
    return undefined;
  }

  function remember(key: string, until: Date | undefined): void {
    accepted.delete(key);
    accepted.set(key, { until, at: timers.now() });
    if (accepted.size <= bounds.remembered) return;
    for (const oldest of accepted.keys()) {
      accepted.delete(oldest);
      return;
    }
  }

  /** The problem of a ServiceAccount that claims to be the proxy; undefined if it is that of the proxy's pod. */
  async function problemOf(user: User, { mesh, name }: ProxyName): Promise<string | undefined> {
    const parts = user.username.split(":");
    if (parts.length !== 4) return `username inside TokenReview response has unexpected format: "${user.username}"`;
    const [system, kind, namespace, account] = parts;
    if (system !== "system" || kind !== "serviceaccount") {
      return `token must belong to a k8s system account, got "${user.username}"`;
    }
    const place = dataplaneType.kubernetes && placeOf(dataplaneType.kubernetes, name);
    if (place?.namespace === undefined) return `proxy "${mesh}.${name}" is not in a namespace`;
    if (namespace !== place.namespace) {
      return `token belongs to a namespace ("${namespace}") different from proxyId ("${place.namespace}")`;
    }
    const dataplane = await client.get(customObjects("dataplanes", namespace), place.name);
    if (dataplane === undefined || meshOf(dataplane) !== mesh) {
      return `unable to find Dataplane for proxy "${mesh}.${name}"`;
    }
    const boundTo = extraOf(user, podName);
    if (boundTo !== undefined) {
      if (boundTo !== place.name) return `token is bound to the pod "${boundTo}", not to "${place.name}"`;
      const owner = controllerOf(dataplane);
      if (owner?.kind === "Pod" && owner.uid === extraOf(user, podUid)) return undefined;
      return `token is bound to another pod "${boundTo}" than the one that the Dataplane belongs to`;
    }
    // A token that is not bound to a pod is only told apart by its ServiceAccount.
    const pod = await client.get({ group: "", version: "v1", plural: "pods", namespace }, place.name);
    if (pod === undefined) return `there is no pod "${place.name}" in namespace "${namespace}"`;
    const expected = textIn(objectIn(pod.spec).serviceAccountName) || "default";
    if (account === expected) return undefined;
    return `token belongs to the ServiceAccount "${account}", but the pod "${place.name}" has "${expected}"`;
  }

  async function review(token: string, proxy: ProxyName): Promise<Reviewed> {
    let answer: unknown;
    try {
      const spec = { token, audiences: [tokenAudience] };
      answer = await client.request("POST", reviews, {
        apiVersion: "authentication.k8s.io/v1",
        kind: "TokenReview",
        spec,
      });
    } catch (error) {
      const status = error instanceof KubeError ? error.status : 0;
      return refused(`call to TokenReview API failed (${status === 0 ? "no answer" : `status ${status}`})`);
    }
    if (!isJsonObject(answer)) return refused("call to TokenReview API failed (no object)");
    const user = userOf(answer);
    if (typeof user === "string") return refused(user);
    try {
      const problem = await problemOf(user, proxy);
      return problem === undefined ? { kind: "accepted", until: expiryOf(token) } : refused(problem);
    } catch (error) {
      return refused(`the proxy could not be looked up: ${messageOf(error)}`);
    }
  }

  async function turn(key: string, token: string, proxy: ProxyName): Promise<Reviewed> {
    const begun = pace(() => review(token, proxy));
    if (begun === undefined) {
      incidents.refused("token_reviews");
      return refused("too many proxies are being authenticated; the proxy will try again");
    }
    const result = await begun;
    if (result.kind === "accepted") remember(key, result.until);
    return result;
  }

  return async (written, proxy) => {
    const token = (written ?? "").replace(/^Bearer +/i, "").trim();
    if (token === "") return refused("k8s token is missing");
    // Not worth a request.
    if (token.length > bounds.tokenCharacters || !tokenPattern.test(token)) return refused(invalidUser);
    const key = createHash("sha256")
      .update(JSON.stringify([token, proxy.mesh, proxy.name]))
      .digest("base64");
    const known = remembered(key);
    if (known !== undefined) return known;
    let current = running.get(key);
    if (current === undefined) {
      current = turn(key, token, proxy).finally(() => running.delete(key));
      running.set(key, current);
    }
    return current;
  };
}
