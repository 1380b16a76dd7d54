import type { MtlsInsight } from "../../resources/dataplane-insight.js";
import { timestamp } from "./subscription.js";

/** Events on the SDS streams of a proxy since its insight was last written. */
export interface SecretNews {
  /** The last certificate that it acknowledged. */
  readonly certified?: { readonly notAfter: Date; readonly at: Date };
  /** How many it acknowledged. */
  readonly certificates: number;
  readonly trustedRoots?: string;
  /** The rejection after the last certificate, if any. */
  readonly refusal?: { readonly reason: string; readonly at: Date };
}

export const noNews: SecretNews = { certificates: 0 };

export function certified({ refusal: _settled, ...news }: SecretNews, notAfter: Date, at: Date): SecretNews {
  return { ...news, certified: { notAfter, at }, certificates: news.certificates + 1 };
}

/** Merges news that could not be written with later news. */
export function together(earlier: SecretNews, later: SecretNews): SecretNews {
  // Also if both are empty: the result must be `noNews` itself, which is not written.
  if (earlier === noNews) return later;
  const { refusal: _settled, ...rest } = earlier;
  const both = later.certified === undefined ? { ...earlier, ...later } : { ...rest, ...later };
  return { ...both, certificates: earlier.certificates + later.certificates };
}

/** Merges news into a proxy's certificate in the insight. */
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
