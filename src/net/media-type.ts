import type { IncomingHttpHeaders } from "node:http";
import { jsonType } from "./exchange.js";

/** The media type of a body that is not JSON; undefined if it is JSON or not specified. */
export function foreignMediaType(headers: IncomingHttpHeaders): string | undefined {
  const encoding = headers["content-encoding"];
  if (encoding !== undefined && encoding.toLowerCase() !== "identity") return `${encoding}-encoded data`;
  const type = headers["content-type"];
  if (type === undefined || type === jsonType) return undefined;
  const name = type.split(";", 1)[0]?.trim().toLowerCase() ?? "";
  return name === jsonType || name === "" ? undefined : name;
}
