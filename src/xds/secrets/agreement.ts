import type { ProxyId } from "../node.js";
import type { SecretObserver } from "../observer.js";
import type { IssuedIdentity } from "./identities.js";

/** What counts of a secret stream when several say that they belong to one proxy. */
export interface Claimant {
  /** The bundle of roots that was acknowledged last on it; undefined when it asks for none. */
  readonly trusted: { readonly version: string | undefined } | undefined;
  /** The certificate that was acknowledged last on it, for which a token was needed. */
  readonly identity: IssuedIdentity | undefined;
  /** Whether its token is one of the proxy's. Verifying it takes time. */
  proved(): boolean;
}

/**
 * The streams whose acknowledgements of roots say something of the proxy: those with its token as soon as there are
 * any, so that a stranger under its name neither speaks for it nor keeps a rotation waiting.
 */
export function trusting<C extends Claimant>(streams: Iterable<C>): readonly C[] {
  const asking = [...streams].filter(({ trusted }) => trusted !== undefined);
  if (asking.length < 2) return asking;
  const proved = asking.filter((stream) => stream.proved());
  return proved.length > 0 ? proved : asking;
}

/** Hears of what happens on all secret streams, and tells an observer what holds for a proxy as a whole. */
export interface SecretAgreement {
  /** The observer for one stream. */
  observerOf(stream: () => Claimant | undefined): SecretObserver;
  /** A stream of the proxy has ended, or asks for roots no longer. */
  changed(proxy: ProxyId): void;
}

interface Options {
  /** The open streams of a proxy. */
  readonly streamsOf: (proxy: ProxyId) => Iterable<Claimant>;
  readonly observer: SecretObserver;
}

export function createSecretAgreement({ streamsOf, observer }: Options): SecretAgreement {
  /** Proxies some of whose streams trust other roots than the rest, of which nothing was told since. */
  const divided = new Set<string>();
  const keyOf = ({ mesh, name }: ProxyId) => `${mesh}\n${name}`;

  function tell(proxy: ProxyId): void {
    const versions = new Set(trusting(streamsOf(proxy)).map(({ trusted }) => trusted?.version));
    const [version] = versions;
    if (versions.size > 1 || (versions.size === 1 && version === undefined)) {
      divided.add(keyOf(proxy));
      return;
    }
    divided.delete(keyOf(proxy));
    if (version !== undefined) observer.trusting(proxy, version);
  }

  return {
    observerOf: (stream) => ({
      certified: (proxy, identity, at) => observer.certified(proxy, identity, at),
      trusting: tell,
      refused(proxy, reason, at) {
        // Somebody else was refused under the name of a proxy that has what it asked for.
        const served = [...streamsOf(proxy)].some(
          (other) => other !== stream() && other.identity !== undefined && other.identity.notAfter > at,
        );
        if (!served) observer.refused(proxy, reason, at);
      },
    }),
    changed(proxy) {
      if (divided.has(keyOf(proxy))) tell(proxy);
    },
  };
}
