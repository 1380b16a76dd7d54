import type { IncomingHttpHeaders } from "node:http";

/** The specificity of an Accept range for a media type: the exact type beats a type family, which beats everything. */
function fitOf(range: string, mediaType: string): number {
  if (range === mediaType) return 3;
  if (range === mediaType.replace(/\/.*/, "/*")) return 2;
  return range === "*/*" ? 1 : 0;
}

/**
 * Whether the client accepts the media type: no Accept header, or the most specific matching range has a quality above
 * 0.
 */
export function accepts({ accept }: IncomingHttpHeaders, mediaType: string): boolean {
  if (accept === undefined || accept === "*/*" || accept === mediaType) return true;
  let best = { fit: 0, quality: 0 };
  for (const range of accept.split(",")) {
    const [type = "", ...parameters] = range.split(";").map((part) => part.trim().toLowerCase());
    const fit = fitOf(type, mediaType);
    const quality = parameters.find((parameter) => parameter.startsWith("q="))?.slice(2);
    if (fit > best.fit) best = { fit, quality: quality === undefined ? 1 : Number(quality) };
  }
  return best.fit > 0 && best.quality > 0;
}
