import type { EnvoyResource } from "../../envoy/resource.js";
import { contentHash, createNonces } from "../response.js";

/** A state-of-the-world request on a secret stream. */
export interface SecretRequest {
  readonly names: readonly string[];
  /** Nonce of the response that this acknowledges or rejects; empty when it does neither. */
  readonly nonce: string;
  /** The client's error message when it rejects. */
  readonly refusal: string | undefined;
}

export interface SecretSessionEvents {
  send(response: { readonly resources: readonly EnvoyResource[]; readonly nonce: string }): void;
  /** The client accepted these secrets and uses them. */
  acknowledged(resources: readonly EnvoyResource[]): void;
  refused(resources: readonly EnvoyResource[], reason: string): void;
}

/**
 * The state of one secret stream: which secrets the client requested, and which were set, sent and acknowledged. It is
 * independent of the wire format, of certificates and of the clock. `request` and `set` may be called in any order;
 * each sends immediately what has become due. At most one response is unacknowledged; a newer version replaces a
 * pending one.
 */
export interface SecretSession {
  request(request: SecretRequest): void;
  /**
   * Sets the current version of a secret. It is sent when the client requests that name and has neither acknowledged
   * nor rejected this version. It is dropped when the client unsubscribes: it may be stale when the name is requested
   * again.
   */
  set(secret: EnvoyResource): void;
  /** The names that the client currently requests. */
  readonly names: ReadonlySet<string>;
  /** The version of a secret that the client acknowledged last. */
  acknowledged(name: string): string | undefined;
}

export function createSecretSession(events: SecretSessionEvents): SecretSession {
  let names: ReadonlySet<string> = new Set();
  const current = new Map<string, EnvoyResource>();
  const acknowledged = new Map<string, string>();
  const rejected = new Map<string, string>();
  const nextNonce = createNonces();
  let unacknowledged: { readonly nonce: string; readonly resources: readonly EnvoyResource[] } | undefined;

  function step(): void {
    if (unacknowledged !== undefined) return;
    const resources = [...names]
      .map((name) => current.get(name))
      .filter((secret) => secret !== undefined)
      .filter(({ name, version }) => acknowledged.get(name) !== version && rejected.get(name) !== version);
    if (resources.length === 0) return;
    unacknowledged = { nonce: nextNonce(contentHash("sds", resources, [])), resources };
    events.send(unacknowledged);
  }

  function answer({ nonce, refusal }: SecretRequest): void {
    if (unacknowledged === undefined || unacknowledged.nonce !== nonce) return;
    const { resources } = unacknowledged;
    unacknowledged = undefined;
    for (const { name, version } of resources) {
      if (refusal === undefined) {
        acknowledged.set(name, version);
        rejected.delete(name);
      } else rejected.set(name, version);
    }
    if (refusal === undefined) events.acknowledged(resources);
    else events.refused(resources, refusal);
  }

  return {
    request(request) {
      const stale = request.nonce !== "" && unacknowledged !== undefined && unacknowledged.nonce !== request.nonce;
      answer(request);
      // A stale request was sent before the client received our last response. Its next one has its current names.
      if (stale) return;
      const wanted = new Set(request.names);
      for (const name of names) if (!wanted.has(name)) current.delete(name);
      // A newly requested name is sent even if the same request acknowledges it.
      for (const name of wanted) {
        if (names.has(name)) continue;
        acknowledged.delete(name);
        rejected.delete(name);
      }
      names = wanted;
      step();
    },
    set(secret) {
      current.set(secret.name, secret);
      step();
    },
    get names() {
      return names;
    },
    acknowledged: (name) => acknowledged.get(name),
  };
}
