import type { IncomingHttpHeaders } from "node:http";
import { jsonType } from "../../net/exchange.js";

/** How well an Accept range fits JSON: an exact type beats a type family beats everything. */
const fits: ReadonlyMap<string, number> = new Map([
  [jsonType, 3],
  ["application/*", 2],
  ["*/*", 1],
]);

/** True when the client takes JSON: no Accept, or a best-fitting range whose quality is not 0. */
export function acceptsJson({ accept }: IncomingHttpHeaders): boolean {
  if (accept === undefined || accept === "*/*" || accept === jsonType) return true;
  let best = { fit: 0, quality: 0 };
  for (const range of accept.split(",")) {
    const [type = "", ...parameters] = range.split(";").map((part) => part.trim().toLowerCase());
    const fit = fits.get(type) ?? 0;
    const quality = parameters.find((parameter) => parameter.startsWith("q="))?.slice(2);
    if (fit > best.fit) best = { fit, quality: quality === undefined ? 1 : Number(quality) };
  }
  return best.fit > 0 && best.quality > 0;
}

/** The media type of a body that is not JSON; undefined when it is, or when the client does not say. */
export function foreignMediaType(headers: IncomingHttpHeaders): string | undefined {
  const encoding = headers["content-encoding"];
  if (encoding !== undefined && encoding.toLowerCase() !== "identity") return `${encoding}-encoded data`;
  const type = headers["content-type"];
  if (type === undefined || type === jsonType) return undefined;
  const name = type.split(";", 1)[0]?.trim().toLowerCase() ?? "";
  return name === jsonType || name === "" ? undefined : name;
}
