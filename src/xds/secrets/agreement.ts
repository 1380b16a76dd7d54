import type { ProxyId } from "../node.js";
import type { SecretObserver } from "../observer.js";
import type { IssuedIdentity } from "./identities.js";

/** The state of a secret stream that matters when several streams claim to be the same proxy. */
export interface Claimant {
  /** The trust bundle that was acknowledged last on it; undefined when it has not requested one. */
  readonly trusted: { readonly version: string | undefined } | undefined;
  /** The certificate that was acknowledged last on it. A token was required for it. */
  readonly identity: IssuedIdentity | undefined;
  /** Whether its token is valid for the proxy. Verification is expensive. */
  proved(): boolean;
}

/**
 * The streams whose acknowledgements of trust bundles count for the proxy: those with a valid token if there are any,
 * so that an impostor can neither acknowledge for the proxy nor delay a rotation.
 */
export function trusting<C extends Claimant>(streams: Iterable<C>): readonly C[] {
  const asking = [...streams].filter(({ trusted }) => trusted !== undefined);
  if (asking.length < 2) return asking;
  const proved = asking.filter((stream) => stream.proved());
  return proved.length > 0 ? proved : asking;
}

/** Combines the events of all secret streams into one state per proxy, and reports that to an observer. */
export interface SecretAgreement {
  /** The observer for one stream. */
  observerOf(stream: () => Claimant | undefined): SecretObserver;
  /** A stream of the proxy was closed, or unsubscribed from the trust bundle. */
  changed(proxy: ProxyId): void;
}

interface Options {
  /** The open streams of a proxy. */
  readonly streamsOf: (proxy: ProxyId) => Iterable<Claimant>;
  readonly observer: SecretObserver;
}

export function createSecretAgreement({ streamsOf, observer }: Options): SecretAgreement {
  /** Proxies whose streams trust different bundles, so that none is reported for them. */
  const divided = new Set<string>();
  const keyOf = ({ mesh, name }: ProxyId) => `${mesh}\n${name}`;

  function report(proxy: ProxyId): void {
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
      trusting: report,
      refused(proxy, reason, at) {
        // The proxy has a valid certificate on another stream: another client used its name.
        const served = [...streamsOf(proxy)].some(
          (other) => other !== stream() && other.identity !== undefined && other.identity.notAfter > at,
        );
        if (!served) observer.refused(proxy, reason, at);
      },
    }),
    changed(proxy) {
      if (divided.has(keyOf(proxy))) report(proxy);
    },
  };
}
