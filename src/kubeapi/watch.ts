import { StringDecoder } from "node:string_decoder";
import { isJsonObject, parseJsonObject } from "../lib/json.js";
import { errorOfStatus, KubeError } from "./error.js";
import { kubeLimits } from "./limits.js";
import { isKubeObject, type KubeObject } from "./object.js";

export type WatchEvent =
  | { readonly type: "ADDED" | "MODIFIED" | "DELETED"; readonly object: KubeObject }
  /** Nothing changed up to this version. */
  | { readonly type: "BOOKMARK"; readonly resourceVersion: string };

/** @throws KubeError for what no API server sends: to go on after it could mean to miss a change */
function eventOf(line: string, doing: string): WatchEvent {
  const event = parseJsonObject(line);
  const malformed = () => new KubeError(0, `${doing}: the event is malformed: ${line.slice(0, 200)}`);
  if (event === undefined) throw malformed();
  const { type, object } = event;
  switch (type) {
    case "ADDED":
    case "MODIFIED":
    case "DELETED":
      if (!isKubeObject(object)) throw malformed();
      return { type, object };
    case "BOOKMARK": {
      const version =
        isJsonObject(object) && isJsonObject(object.metadata) ? object.metadata.resourceVersion : undefined;
      if (typeof version !== "string") throw malformed();
      return { type, resourceVersion: version };
    }
    case "ERROR":
      throw errorOfStatus(object, doing);
    default:
      throw malformed();
  }
}

/**
 * The events of a watch's body, until it ends.
 * @throws KubeError for an ERROR event, a malformed one, or one that is too large
 */
export async function* eventsOf(body: AsyncIterable<Buffer>, doing: string): AsyncGenerator<WatchEvent> {
  const decoder = new StringDecoder("utf8");
  let parts: string[] = [];
  let size = 0;
  for await (const chunk of body) {
    let text = decoder.write(chunk);
    for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n")) {
      const line = parts.join("") + text.slice(0, end);
      parts = [];
      size = 0;
      text = text.slice(end + 1);
      if (line.trim() !== "") yield eventOf(line, doing);
    }
    parts.push(text);
    size += text.length;
    const limit = kubeLimits.eventBytes;
    if (size > limit) throw new KubeError(0, `${doing}: an event is larger than ${limit} bytes`);
  }
}
