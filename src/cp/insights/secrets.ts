import type { MtlsInsight } from "../../resources/dataplane-insight.js";
import { timestamp } from "./subscription.js";

/** What happened on the secret streams of a proxy since its insight was written last. */
export interface SecretNews {
  /** The certificate that it took last. */
  readonly certified?: { readonly notAfter: Date; readonly at: Date };
  /** How many it took. */
  readonly certificates: number;
  readonly trustedRoots?: string;
  /** The refusal that came after the last certificate, if one did. */
  readonly refusal?: { readonly reason: string; readonly at: Date };
}

export const noNews: SecretNews = { certificates: 0 };

export function certified({ refusal: _settled, ...news }: SecretNews, notAfter: Date, at: Date): SecretNews {
  return { ...news, certified: { notAfter, at }, certificates: news.certificates + 1 };
}

/** News that could not be written, with those that came since. */
export function together(earlier: SecretNews, later: SecretNews): SecretNews {
  // Also where neither is any: that has to stay `noNews`, of which nothing is written.
  if (earlier === noNews) return later;
  const { refusal: _settled, ...rest } = earlier;
  const both = later.certified === undefined ? { ...earlier, ...later } : { ...rest, ...later };
  return { ...both, certificates: earlier.certificates + later.certificates };
}

/** A proxy's certificate as the insight tells it, brought up to date. */
export function mergeSecrets(stored: MtlsInsight | undefined, news: SecretNews): MtlsInsight | undefined {
  if (news === noNews) return stored;
  const { refusal, ...before } = stored ?? {};
  const { certified: taken, certificates, trustedRoots, refusal: latest } = news;
  const standing = taken === undefined && refusal !== undefined ? { refusal } : {};
  return {
    ...before,
    ...(taken === undefined
      ? {}
      : { certificateExpirationTime: timestamp(taken.notAfter), lastCertificateRegeneration: timestamp(taken.at) }),
    ...(certificates === 0 ? {} : { certificateRegenerations: (before.certificateRegenerations ?? 0) + certificates }),
    ...(trustedRoots === undefined ? {} : { trustedRoots }),
    ...(latest === undefined ? standing : { refusal: { time: timestamp(latest.at), reason: latest.reason } }),
  };
}
