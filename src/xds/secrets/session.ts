import type { EnvoyResource } from "../../envoy/resource.js";
import { contentHash, createNonces } from "../response.js";

/** A state-of-the-world request on a secret stream. */
export interface SecretRequest {
  readonly names: readonly string[];
  /** Nonce of the response this acknowledges or refuses; empty when it does neither. */
  readonly nonce: string;
  /** The client's words when it refuses. */
  readonly refusal: string | undefined;
}

export interface SecretSessionEvents {
  send(response: { readonly resources: readonly EnvoyResource[]; readonly nonce: string }): void;
  /** The client uses these from now on. */
  acknowledged(resources: readonly EnvoyResource[]): void;
  refused(resources: readonly EnvoyResource[], reason: string): void;
}

/**
 * One secret stream: which secrets the client asked for, what it was offered, sent, and took. It knows nothing of the
 * wire, of certificates or of the clock; `request` and `offer` may come in any order, and each sends at once what has
 * become due. At most one response is on its way; what is offered meanwhile replaces what waits.
 */
export interface SecretSession {
  request(request: SecretRequest): void;
  /**
   * The present content of a secret; sent when the client asks for that name and doesn't have, nor refused, just this.
   * Forgotten when the client drops the name: it may be out of date by the time that the name is asked for again.
   */
  offer(secret: EnvoyResource): void;
  /** What the client asks for at present. */
  readonly names: ReadonlySet<string>;
  /** The version of a secret that the client acknowledged last. */
  taken(name: string): string | undefined;
}

export function createSecretSession(events: SecretSessionEvents): SecretSession {
  let names: ReadonlySet<string> = new Set();
  const offered = new Map<string, EnvoyResource>();
  const taken = new Map<string, string>();
  const refused = new Map<string, string>();
  const nextNonce = createNonces();
  let unacknowledged: { readonly nonce: string; readonly resources: readonly EnvoyResource[] } | undefined;

  function step(): void {
    if (unacknowledged !== undefined) return;
    const resources = [...names]
      .map((name) => offered.get(name))
      .filter((secret) => secret !== undefined)
      .filter(({ name, version }) => taken.get(name) !== version && refused.get(name) !== version);
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
        taken.set(name, version);
        refused.delete(name);
      } else refused.set(name, version);
    }
    if (refusal === undefined) events.acknowledged(resources);
    else events.refused(resources, refusal);
  }

  return {
    request(request) {
      const stale = request.nonce !== "" && unacknowledged !== undefined && unacknowledged.nonce !== request.nonce;
      answer(request);
      // A stale request was made before the client saw our last response: its next one tells what it wants now.
      if (stale) return;
      const wanted = new Set(request.names);
      for (const name of names) if (!wanted.has(name)) offered.delete(name);
      // A name that was not asked for until now is answered in full, also when the same request acknowledges it.
      for (const name of wanted) {
        if (names.has(name)) continue;
        taken.delete(name);
        refused.delete(name);
      }
      names = wanted;
      step();
    },
    offer(secret) {
      offered.set(secret.name, secret);
      step();
    },
    get names() {
      return names;
    },
    taken: (name) => taken.get(name),
  };
}
